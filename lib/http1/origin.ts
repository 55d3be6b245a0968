import { connect as connectTcp, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * After this time without data a TCP connection is probed (keep-alive), as undici does. Node sends ten probes, one each second,
 * before it gives the connection up.
 */
export const KEEP_ALIVE_PROBE_MS = 60_000;

/** The server that requests are sent to. */
export interface Origin {
  readonly isTls: boolean;
  /** A host name or an address, without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** The value of `Host`. */
  readonly host: string;
}

/** The origin of `url`. Throws `TypeError` for any scheme but http and https. */
export function originOf({ protocol, hostname, port, host, href }: URL): Origin {
  const isTls = protocol === 'https:';
  if (!isTls && protocol !== 'http:') throw new TypeError(`url must be http: or https:, got ${href}`);
  return {
    isTls,
    hostname: hostname.startsWith('[') ? hostname.slice(1, -1) : hostname,
    port: port === '' ? (isTls ? 443 : 80) : Number(port),
    host,
  };
}

/** Opens a connection. `onread` gets the data; `lookup` resolves a name, by default as the system does. */
export function connect(
  { isTls, hostname, port }: Origin,
  onread: OnReadOpts,
  lookup?: LookupFunction,
): Socket {
  const options = {
    host: hostname,
    port,
    onread,
    lookup,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
  };
  if (!isTls) return connectTcp(options);
  const servername = isIP(hostname) === 0 ? hostname : '';
  return connectTls({ ...options, servername, ALPNProtocols: ['http/1.1'] });
}
