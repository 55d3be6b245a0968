import { type Clock, systemClock } from '../clock/clock.ts';
import { ConnectionLostError } from '../http1/errors.ts';
import type { Handler, Request } from '../http1/handler.ts';
import { Pool, type PoolOptions, READ_BYTES } from '../http1/pool.ts';

export interface TransportOptions {
  /** How long opening a connection to a replica may take, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Largest head of a response: names and values together, in bytes. Default 64 KiB. */
  readonly maxHeadBytes?: number;
  /** How long an idle connection is kept, in milliseconds, when the replica states no time of its own. Default 4000. */
  readonly idleMs?: number;
  /**
   * Age at which a connection to a host name is closed after its request, in milliseconds. 0, the default: no limit.
   */
  readonly maxAgeMs?: number;
  readonly clock?: Clock;
}

/** Keep-alive connections to replicas, with a pool for each replica. */
export class Transport {
  readonly #options: Omit<PoolOptions, 'url' | 'readBuffer'>;
  readonly #pools = new Map<string, Pool>();
  /** Pools of removed replicas that still have requests under way. */
  readonly #leaving = new Set<Pool>();
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor({ clock = systemClock, ...options }: Readonly<TransportOptions>) {
    this.#options = { ...options, clock };
  }

  /** Sends one request. `handler` gets everything that follows. */
  send(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler);
  }

  /** Sends one request over a new connection, since a kept one may have been closed by the replica meanwhile. */
  sendAfresh(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler, { afresh: true });
  }

  /** Closes the connections of a removed replica once their requests have ended. */
  async forget(url: URL): Promise<void> {
    const pool = this.#pools.get(url.href);
    if (!pool) return;
    this.#pools.delete(url.href);
    this.#leaving.add(pool);
    await pool.close();
    this.#leaving.delete(pool);
  }

  /** Closes every connection at once. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#leaving];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  /** Pools are found by `href`, which a URL object stores; `origin` would be assembled each time. */
  #poolFor(url: URL): Pool {
    const known = this.#pools.get(url.href);
    if (known) return known;
    const pool = new Pool({ ...this.#options, url, readBuffer: this.#readBuffer });
    this.#pools.set(url.href, pool);
    return pool;
  }
}

/**
 * Whether the request was sent over a kept connection that ended before the head of its response: the replica may have closed
 * it just as the request was on its way (RFC 9112 section 9.3.1).
 */
export function diedWhileKept(error: Error): boolean {
  return error instanceof ConnectionLostError && error.kept;
}
