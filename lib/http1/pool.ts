import { isIP, type LookupFunction } from 'node:net';
import { Call } from './call.ts';
import { type Cancel, type Clock, Connection, type ConnectionOptions } from './connection.ts';
import { PoolDestroyedError } from './errors.ts';
import type { Handler, Request } from './handler.ts';
import { LineCheck } from './lineCheck.ts';
import { type Origin, originOf, type TlsOptions } from './origin.ts';
import { DEFAULT_MAX_HEAD_BYTES } from './reading/responseReader.ts';
import { requestHead } from './requestHead.ts';

/** How long an idle connection is kept when the origin does not state a time. */
const DEFAULT_IDLE_MS = 4_000;
/**
 * A request that may not be sent twice takes no connection that has been idle for longer, unless the origin has said how
 * long it keeps it: some close idle connections after 2 s, and the request would be lost with it.
 */
const RISKY_IDLE_MS = 1_000;
/** The longest stated time that is believed. */
const MAX_IDLE_MS = 600_000;
/** A connection is closed this much earlier than the origin would, so that no request meets its closing. */
const MARGIN_MS = 2_000;
/** The most bytes of one read. */
export const READ_BYTES = 64 * 1024;

export interface PoolOptions {
  /** Only scheme, host and port are used. */
  readonly url: URL;
  readonly clock: Clock;
  /** How long opening a connection may take, in milliseconds. */
  readonly connectTimeoutMs: number;
  /** Names and values of a response's head together must stay below. Default: 64 KiB. */
  readonly maxHeadBytes?: number;
  /** How long an idle connection is kept when the origin does not say how long it keeps it. Default: 4 s. */
  readonly idleMs?: number;
  /**
   * Age from which a connection to a name (not to an address) ends after the request that it carries, so that the name
   * is resolved again. 0, the default: no limit.
   */
  readonly maxAgeMs?: number;
  /** Resolves the origin's name. Default: the system. */
  readonly lookup?: LookupFunction;
  /** Of all its connections, if the origin speaks TLS. TLS sessions are resumed within a pool, and never by another. */
  readonly tls?: TlsOptions | undefined;
  /** The buffer that sockets are read into, until the next read. Pools may share one. Default: a buffer of its own. */
  readonly readBuffer?: Buffer;
}

export interface SendOptions {
  /**
   * Whether the request must be sent over a new connection, since a kept one may be about to be closed. Default false.
   */
  readonly afresh?: boolean;
}

interface Idle {
  readonly connection: Connection;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/**
 * Connections to one origin: as many as there are concurrent requests, kept for later ones. The connection that became idle last
 * is used first, so that those that are not needed expire. A connection never has two requests at a time.
 */
export class Pool {
  readonly #origin: Origin;
  readonly #clock: Clock;
  readonly #connectionOptions: ConnectionOptions;
  readonly #idleMs: number;
  readonly #maxAgeMs: number;
  readonly #lineCheck = new LineCheck();
  readonly #connections = new Set<Connection>();
  /**
   * Connections that were idle for a whole turn of the event loop, so that anything sent on them unasked was noticed.
   */
  #idle: Idle[] = [];
  /** Connections that became idle in this turn. */
  #freed: Idle[] = [];
  #waiting: Call[] = [];
  #turnAwaited = false;
  #cancelSweep: Cancel | undefined;
  #closing = false;
  #destroyed = false;
  readonly #whenEmpty = Promise.withResolvers<void>();

  constructor({
    url,
    clock,
    connectTimeoutMs,
    maxHeadBytes = DEFAULT_MAX_HEAD_BYTES,
    idleMs = DEFAULT_IDLE_MS,
    maxAgeMs = 0,
    lookup,
    tls,
    readBuffer = Buffer.allocUnsafeSlow(READ_BYTES),
  }: PoolOptions) {
    this.#origin = originOf(url);
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#maxAgeMs =
      maxAgeMs === 0 || isIP(this.#origin.hostname) !== 0 ? Number.POSITIVE_INFINITY : maxAgeMs;
    this.#connectionOptions = {
      origin: this.#origin,
      clock,
      connectTimeoutMs,
      maxHeadBytes,
      lookup,
      tls,
      session: this.#origin.isTls ? { ticket: undefined } : undefined,
      readBuffer,
      onFree: (connection) => this.#free(connection),
      onClosed: (connection) => this.#forget(connection),
    };
  }

  /** Sends one request. `handler` gets everything that follows, errors included. */
  send(request: Request, handler: Handler, { afresh = false }: SendOptions = {}): void {
    let call: Call;
    try {
      if (this.#destroyed) throw new PoolDestroyedError();
      call = new Call(request, requestHead(request, this.#origin.host, this.#lineCheck), handler);
    } catch (error) {
      handler.onResponseError(undefined, error as Error);
      return;
    }
    const isLeft = this.#waiting.length < this.#idle.length + this.#freed.length;
    if (afresh || !isLeft || (this.#freed.length === 0 && this.#isRisky(call))) {
      this.#open(call);
    } else {
      this.#waiting.push(call);
      this.#awaitTurn();
    }
  }

  /** Closes each connection when its request has ended. Later requests are still served. */
  close(): Promise<void> {
    this.#closing = true;
    this.#awaitTurn();
    return this.#whenEmpty.promise;
  }

  /** Closes every connection at once. Requests under way fail, and so do later ones. */
  destroy(): Promise<void> {
    this.#destroyed = true;
    const error = new PoolDestroyedError();
    for (const call of this.#waiting.splice(0)) call.fail(error);
    for (const connection of this.#connections) connection.cut(error);
    return this.close();
  }

  #open(call: Call): void {
    this.#connections.add(new Connection(this.#connectionOptions, call));
  }

  #free(connection: Connection): void {
    const nowMs = this.#clock.ticks();
    const leftMs = this.#maxAgeMs - (nowMs - connection.openedAtMs);
    const idleMs = Math.min(this.#idleTimeMs(connection.keepAliveMs), leftMs);
    if (idleMs <= 0) {
      connection.close();
      return;
    }
    this.#freed.push({ connection, sinceMs: nowMs, untilMs: nowMs + idleMs });
    this.#awaitTurn();
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    this.#idle = this.#idle.filter((idle) => idle.connection !== connection);
    this.#freed = this.#freed.filter((idle) => idle.connection !== connection);
    this.#settleWhenEmpty();
  }

  /**
   * Requests wait until the sockets were read: a connection that was closed, or on which an unrequested response has arrived,
   * must not get a request (GHSA-35p6-xmwp-9g52). It costs one immediate in each turn, for all requests together.
   */
  #awaitTurn(): void {
    if (this.#turnAwaited) return;
    this.#turnAwaited = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#turnAwaited = false;
    this.#serve();
    for (const idle of this.#freed) this.#idle.push(idle);
    this.#freed = [];
    if (this.#waiting.length > 0) this.#awaitTurn();
    else if (this.#closing) this.#closeIdle();
    else this.#sweepLater();
  };

  #serve(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) {
      const connection = this.#takeIdle(call);
      if (connection) connection.carry(call);
      // Connections that became idle in this turn can be used in the next one.
      else if (this.#waiting.length < this.#freed.length) this.#waiting.push(call);
      else this.#open(call);
    }
  }

  #takeIdle(call: Call): Connection | undefined {
    if (this.#isRisky(call)) return undefined;
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (idle.connection.open && idle.untilMs > this.#clock.ticks()) return idle.connection;
      idle.connection.close();
    }
    return undefined;
  }

  /**
   * Whether the request might be lost with the latest of the idle connections: all others have been idle for longer.
   */
  #isRisky(call: Call): boolean {
    const idle = this.#idle.at(-1);
    if (isRepeatable(call) || !idle || idle.connection.keepAliveMs !== undefined) return false;
    return this.#clock.ticks() - idle.sinceMs > RISKY_IDLE_MS;
  }

  /** How long an idle connection may still be kept; 0 or less: it must be closed. */
  #idleTimeMs(saidMs: number | undefined): number {
    return saidMs === undefined ? this.#idleMs : Math.min(saidMs - MARGIN_MS, MAX_IDLE_MS);
  }

  /** One timer for all connections. Which one expires first hardly ever changes. */
  #sweepLater(): void {
    if (this.#cancelSweep || this.#idle.length === 0) return;
    const firstMs = this.#idle.reduce(
      (first, { untilMs }) => Math.min(first, untilMs),
      Number.POSITIVE_INFINITY,
    );
    this.#cancelSweep = this.#clock.after(Math.max(1, firstMs - this.#clock.ticks()), this.#sweep);
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = undefined;
    const nowMs = this.#clock.ticks();
    const old = this.#idle.filter(({ untilMs }) => untilMs <= nowMs);
    this.#idle = this.#idle.filter(({ untilMs }) => untilMs > nowMs);
    for (const { connection } of old) connection.close();
    this.#sweepLater();
  };

  #closeIdle(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
    this.#settleWhenEmpty();
  }

  #settleWhenEmpty(): void {
    if (!this.#closing || this.#connections.size > 0 || this.#waiting.length > 0) return;
    this.#cancelSweep?.();
    this.#whenEmpty.resolve();
  }
}

/** Whether the request can be sent again if its connection ends. */
function isRepeatable({ request: { method, body } }: Call): boolean {
  return (method === 'GET' || method === 'HEAD') && !body;
}
