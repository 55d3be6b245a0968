import { connect as connectTcp, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * When a TCP connection on which nothing comes is asked for a sign of life, as undici does. Node asks ten times, once a
 * second, before it gives the connection up.
 */
export const KEEP_ALIVE_PROBE_MS = 60_000;

/** Whom requests are sent to. */
export interface Origin {
  readonly isTls: boolean;
  /** A name or an address, without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** As `Host` says it. */
  readonly host: string;
}

/** Scheme, host and port of `url`. Throws `TypeError` for another scheme than http and https. */
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

/** Opens a connection. `onread` gets what arrives; `lookup` resolves a name, by default as the system does. */
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
