import { buildConnector, type Dispatcher, Pool } from 'undici';

export interface TransportOptions {
  /** How long a connection to a replica may take to open. */
  readonly connectTimeoutMs: number;
}

/** Keep-alive connections to the replicas, one pool each. */
export class Transport {
  readonly #connectTimeoutMs: number;
  readonly #pools = new Map<string, Pool>();

  constructor({ connectTimeoutMs }: Readonly<TransportOptions>) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Sends one request; everything that comes of it is told to `handler`. */
  send(url: URL, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#poolFor(url.origin).dispatch(options, handler);
  }

  /** Lets the connections of a departed replica finish what they carry, then closes them. */
  async forget(url: URL): Promise<void> {
    const pool = this.#pools.get(url.origin);
    this.#pools.delete(url.origin);
    await pool?.close();
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }

  #poolFor(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const pool = new Pool(origin, {
      connect: connector(this.#connectTimeoutMs),
      allowH2: false,
      // The deadline and the silence limit are the gateway's own, one clock for all.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#pools.set(origin, pool);
    return pool;
  }
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
      });
      callback(...result);
    });
}
