import { Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Certificate } from './certificate.ts';
import type { KeyPair } from './keyPair.ts';

/** The first byte of every TLS connection, a handshake record (RFC 8446 section 5.1). */
const HANDSHAKE = 22;
/** How long a connection may take until the end of its handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface TlsServerOptions {
  readonly certificate: Certificate;
  /** Called with a connection that speaks plain HTTP, before anything is read. By default it is closed. */
  readonly onPlainHttp?: (socket: Socket) => void;
  /** Called when a handshake has failed: there was no common version or cipher, or the client left. */
  readonly onHandshakeFailed?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * An HTTP/1.1 server over TLS 1.2 or newer. New connections get the current certificate; open ones keep theirs.
 */
export class TlsServer extends Server {
  /** Connections whose handshake is not complete, by their peer. The HTTP server does not know them yet. */
  readonly #arriving = new Map<string, Socket>();
  readonly #clock: Clock;

  constructor(
    options: ServerOptions,
    { certificate, clock = systemClock, ...callbacks }: Readonly<TlsServerOptions>,
  ) {
    const { onPlainHttp = (socket) => socket.destroy(), onHandshakeFailed = () => {} } = callbacks;
    super({
      ...options,
      ...terms(certificate.pair),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    this.#clock = clock;
    certificate.follow((pair) => this.setSecureContext(terms(pair)));
    const handshakes = this.listeners('connection') as ((this: Server, socket: Socket) => void)[];
    this.removeAllListeners('connection');
    this.on('connection', (socket: Socket) =>
      this.#receive(socket, (first) => {
        if (first === HANDSHAKE) for (const begin of handshakes) begin.call(this, socket);
        else if (isLetter(first)) onPlainHttp(socket);
        else socket.destroy();
      }),
    );
    this.on('secureConnection', (socket) => this.#arriving.delete(farEnd(socket)));
    // Node's own listener would let an HTTP reply be written into the handshake.
    this.removeAllListeners('tlsClientError');
    this.on('tlsClientError', (error, socket) => {
      socket.destroy();
      onHandshakeFailed(error);
    });
  }

  /** Also closes connections whose handshake is not complete: they have no request either. `close` does the same. */
  override closeIdleConnections(): void {
    super.closeIdleConnections();
    this.#endArriving();
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    this.#endArriving();
  }

  #endArriving(): void {
    for (const socket of this.#arriving.values()) socket.destroy();
  }

  /** Waits for the first byte, which stays to be read. */
  #receive(socket: Socket, decide: (first: number | undefined) => void): void {
    const key = farEnd(socket);
    this.#arriving.set(key, socket);
    socket.once('close', () => this.#arriving.get(key) === socket && this.#arriving.delete(key));
    socket.on('error', () => socket.destroy());
    const cancel = this.#clock.after(HANDSHAKE_TIMEOUT_MS, () => socket.destroy());
    socket.once('close', cancel);
    socket.once('readable', () => {
      cancel();
      const bytes: Buffer | null = socket.read();
      if (bytes) socket.unshift(bytes);
      decide(bytes?.[0]);
    });
  }
}

function terms({ cert, key }: KeyPair) {
  return { cert, key, minVersion: 'TLSv1.2' } as const;
}

/** A key that is the same for a connection before and after its handshake. */
function farEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Whether a byte can begin an HTTP method. */
function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x41 && byte <= 0x5a;
}
