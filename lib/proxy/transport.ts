import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../clock/clock.ts';
import { ConnectionLostError } from '../http1/errors.ts';
import type { Handler, Request } from '../http1/handler.ts';
import { connect, originOf, type TlsOptions } from '../http1/origin.ts';
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
  /** Whom to trust and what to show when a replica speaks TLS. Default: as Node does. */
  readonly tls?: TlsOptions | undefined;
  /** The buffer that sockets are read into, until the next read. Default: one of its own. */
  readonly readBuffer?: Buffer;
  readonly clock?: Clock;
}

/**
 * Keep-alive connections to replicas, with a pool for each replica. Services with other terms of TLS have a transport of their
 * own, so that no request goes over a connection that was opened on another's terms.
 */
export class Transport {
  readonly #options: Omit<PoolOptions, 'url' | 'readBuffer'>;
  readonly #pools = new Map<string, Pool>();
  /** Pools of removed replicas that still have requests under way. */
  readonly #leaving = new Set<Pool>();
  readonly #readBuffer: Buffer;
  #tls: TlsOptions | undefined;

  constructor({ clock = systemClock, tls, readBuffer, ...options }: Readonly<TransportOptions>) {
    this.#options = { ...options, clock };
    this.#tls = tls;
    this.#readBuffer = readBuffer ?? Buffer.allocUnsafeSlow(READ_BYTES);
  }

  /** The terms of new connections; undefined: Node's own. */
  get tls(): TlsOptions | undefined {
    return this.#tls;
  }

  /** From here on connections are opened on these terms. Those that are open end with the request that they carry. */
  renew(tls: TlsOptions): void {
    this.#tls = tls;
    for (const [href, pool] of [...this.#pools]) void this.#retire(href, pool);
  }

  /** Sends one request. `handler` gets everything that follows. */
  send(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler);
  }

  /** Sends one request over a new connection, since a kept one may have been closed by the replica meanwhile. */
  sendAfresh(url: URL, request: Request, handler: Handler): void {
    this.#poolFor(url).send(request, handler, { afresh: true });
  }

  /** Opens a connection for an upgrade, which nobody else gets. */
  connect(url: URL): Socket {
    return connect(originOf(url), { lookup: this.#options.lookup, tls: this.#tls });
  }

  /** Closes the connections of a removed replica once their requests have ended. */
  async forget(url: URL): Promise<void> {
    const pool = this.#pools.get(url.href);
    if (pool) await this.#retire(url.href, pool);
  }

  /** Closes every connection at once. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#leaving];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  async #retire(href: string, pool: Pool): Promise<void> {
    this.#pools.delete(href);
    this.#leaving.add(pool);
    await pool.close();
    this.#leaving.delete(pool);
  }

  /** Pools are found by `href`, which a URL object stores; `origin` would be assembled each time. */
  #poolFor(url: URL): Pool {
    const known = this.#pools.get(url.href);
    if (known) return known;
    const pool = new Pool({ ...this.#options, url, tls: this.#tls, readBuffer: this.#readBuffer });
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
