import { buildConnector, Client, type Dispatcher, errors, Pool } from 'undici';

/** Marks the error of a connection that had carried bytes of the replica before it ended. */
const KEPT = Symbol('kept');

export interface TransportOptions {
  /** How long a connection to a replica may take to open. */
  readonly connectTimeoutMs: number;
}

/** Keep-alive connections to the replicas, one pool each. */
export class Transport {
  readonly #connectTimeoutMs: number;
  readonly #pools = new Map<string, Pool>();
  /** Connections that carry one request each. */
  readonly #single = new Set<Client>();

  constructor({ connectTimeoutMs }: Readonly<TransportOptions>) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Sends one request; everything that comes of it is told to `handler`. */
  send(url: URL, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#poolFor(url.origin).dispatch(options, handler);
  }

  /** Sends one request over a connection of its own: one that was kept may have been closed meanwhile. */
  sendAfresh(url: URL, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const client = new Client(url.origin, connectionOptions(this.#connectTimeoutMs));
    this.#single.add(client);
    const forget = () => void this.#single.delete(client);
    client.dispatch(options, handler);
    client.close().then(forget, forget);
  }

  /** Lets the connections of a departed replica finish what they carry, then closes them. */
  async forget(url: URL): Promise<void> {
    const pool = this.#pools.get(url.origin);
    this.#pools.delete(url.origin);
    await pool?.close();
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const all = [...this.#pools.values(), ...this.#single];
    await Promise.all(all.map((connections) => connections.destroy()));
    this.#pools.clear();
  }

  #poolFor(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const pool = new Pool(origin, connectionOptions(this.#connectTimeoutMs));
    this.#pools.set(origin, pool);
    return pool;
  }
}

/**
 * Whether the connection was one kept from an earlier request, and ended before this one's answer had a head: the
 * replica may have closed it just as the request was on its way (RFC 9112 section 9.3.1).
 */
export function diedWhileKept(error: Error): boolean {
  if (KEPT in error) return true;
  return error instanceof errors.SocketError && (error.socket?.bytesRead ?? 0) > 0;
}

function connectionOptions(connectTimeoutMs: number) {
  return {
    connect: connector(connectTimeoutMs),
    allowH2: false,
    // The deadline and the silence limit are the gateway's own, one clock for all.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

/**
 * undici takes a reset for the end of an answer that has no length, and so a part of it for the whole: it knows a
 * reset by this code alone, and sees the error after us.
 */
function connector(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false });
  return (options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = 'ERR_UPSTREAM_RESET';
        if (socket.bytesRead > 0) Object.assign(error, { [KEPT]: true });
      });
      callback(...result);
    });
}
