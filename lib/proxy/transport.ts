import { type Clock, systemClock } from '../clock/clock.ts';
import { ConnectionLostError } from '../http1/errors.ts';
import type { Handler, Request } from '../http1/handler.ts';
import { Pool, type PoolOptions, READ_BYTES } from '../http1/pool.ts';

export interface TransportOptions {
  /** How long a connection to a replica may take to open. */
  readonly connectTimeoutMs: number;
  /** Names and values of a response's head together must stay below. Default: 64 KiB. */
  readonly maxHeadBytes?: number;
  /** How long an idle connection is kept when the replica does not say how long it keeps it. Default: 4 s. */
  readonly idleMs?: number;
  /** Age from which a connection to a name ends after what it carries. 0, the default: no limit. */
  readonly maxAgeMs?: number;
  readonly clock?: Clock;
}

/** Keep-alive connections to the replicas, one pool each. */
export class Transport {
  readonly #options: Omit<PoolOptions, 'url' | 'readBuffer'>;
  readonly #pools = new Map<string, Pool>();
  /** Pools of departed replicas that still carry something. */
  readonly #leaving = new Set<Pool>();
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor({ clock = systemClock, ...options }: Readonly<TransportOptions>) {
    this.#options = { ...options, clock };
  }

  /** Sends one request; everything that comes of it is told to `handler`. */
  send(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler);
  }

  /** Sends one request over a connection opened for it: one that was kept may have been closed meanwhile. */
  sendAfresh(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler, { afresh: true });
  }

  /** Lets the connections of a departed replica finish what they carry, then closes them. */
  async forget(url: URL): Promise<void> {
    const pool = this.#pools.get(url.href);
    if (!pool) return;
    this.#pools.delete(url.href);
    this.#leaving.add(pool);
    await pool.close();
    this.#leaving.delete(pool);
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#leaving];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  /** By `href`, which is kept by the URL; `origin` is put together each time. */
  #poolFor(url: URL): Pool {
    const known = this.#pools.get(url.href);
    if (known) return known;
    const pool = new Pool({ ...this.#options, url, readBuffer: this.#readBuffer });
    this.#pools.set(url.href, pool);
    return pool;
  }
}

/**
 * Whether the connection was one kept from an earlier request, and ended before this one's answer had a head: the
 * replica may have closed it just as the request was on its way (RFC 9112 section 9.3.1).
 */
export function diedWhileKept(error: Error): boolean {
  return error instanceof ConnectionLostError && error.kept;
}
