import { connect as connectTcp, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';

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

/** How connections over TLS are opened. */
export interface TlsOptions {
  /** Whom to trust, the oldest version, and what to show. Default: the authorities that Node brings, and no certificate. */
  readonly secureContext?: SecureContext | undefined;
  /** The name that is sent (SNI) and that the certificate must have. Default: the origin's host. */
  readonly serverName?: string | undefined;
}

/** The latest TLS session with one origin, for its next connection. */
export interface TlsSession {
  ticket: Buffer | undefined;
}

/** What `connect` may be given besides the origin. */
export interface ConnectOptions {
  /** Gets the data. Default: the socket's events. */
  readonly onread?: OnReadOpts;
  /** Resolves a name. Default: as the system does. */
  readonly lookup?: LookupFunction | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Resumed, and replaced by each new one. Default: every handshake is a whole one. */
  readonly session?: TlsSession | undefined;
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

/** Opens a connection. */
export function connect(
  { isTls, hostname, port }: Origin,
  { onread, lookup, tls, session }: Readonly<ConnectOptions> = {},
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
  const servername = tls?.serverName ?? (isIP(hostname) === 0 ? hostname : '');
  const { secureContext } = tls ?? {};
  const resumed = session?.ticket;
  const socket = connectTls({
    ...options,
    servername,
    secureContext,
    session: resumed,
    // Without it Node asks NODE_TLS_REJECT_UNAUTHORIZED, which trusts everybody.
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
  });
  if (session) keepSession(socket, session);
  return socket;
}

/** A server may decline a session or break off because of one: the next handshake is a whole one then. */
function keepSession(socket: TLSSocket, session: TlsSession): void {
  socket.on('session', (ticket) => {
    session.ticket = ticket;
  });
  socket.on('error', () => {
    session.ticket = undefined;
  });
}
