import { isIP, type LookupFunction } from 'node:net';
import { Call } from './call.ts';
import { type Cancel, type Clock, Connection, type ConnectionOptions } from './connection.ts';
import { PoolDestroyedError } from './errors.ts';
import type { Handler, Request } from './handler.ts';
import { LineCheck } from './lineCheck.ts';
import { type Origin, originOf } from './origin.ts';
import { DEFAULT_MAX_HEAD_BYTES } from './reading/responseReader.ts';
import { requestHead } from './requestHead.ts';

/** How long an idle connection is kept when nobody says how long it may be. */
const DEFAULT_IDLE_MS = 4_000;
/**
 * A request that may not be sent twice takes no connection that has been idle for longer, unless the origin has said how
 * long it keeps it: some close idle connections after 2 s, and the request would be lost with it.
 */
const RISKY_IDLE_MS = 1_000;
/** Longest time that an origin is believed. */
const MAX_IDLE_MS = 600_000;
/** Earlier than the origin by this: a request must not meet the closing of its connection. */
const MARGIN_MS = 2_000;
/** What one read takes at the most. */
export const READ_BYTES = 64 * 1024;

export interface PoolOptions {
  /** Scheme, host and port count. */
  readonly url: URL;
  readonly clock: Clock;
  /** How long a connection may take to open. */
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
  /** What is read goes through it, and is gone with the next read: pools may share one. Default: one of its own. */
  readonly readBuffer?: Buffer;
}

export interface SendOptions {
  /** Over a connection opened for it: a kept one may be about to be closed. Default false. */
  readonly afresh?: boolean;
}

interface Idle {
  readonly connection: Connection;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/**
 * Connections to one origin, as many as there are requests at a time, and kept for later ones. The latest to become
 * idle is used first, so that what is not needed grows old. Never has two requests on one connection at a time.
 */
export class Pool {
  readonly #origin: Origin;
  readonly #clock: Clock;
  readonly #connectionOptions: ConnectionOptions;
  readonly #idleMs: number;
  readonly #maxAgeMs: number;
  readonly #lineCheck = new LineCheck();
  readonly #connections = new Set<Connection>();
  /** Idle for a whole turn of the event loop: whatever had been sent on them unasked has been seen. */
  #idle: Idle[] = [];
  /** Idle since this turn. */
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
      readBuffer,
      onFree: (connection) => this.#free(connection),
      onClosed: (connection) => this.#forget(connection),
    };
  }

  /** Sends one request. Everything that comes of it is told to `handler`, errors too. */
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

  /** Lets every request come to its end, and closes each connection when it is idle. Later requests are served too. */
  close(): Promise<void> {
    this.#closing = true;
    this.#awaitTurn();
    return this.#whenEmpty.promise;
  }

  /** Cuts every connection; requests under way fail, and so do later ones. */
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
   * Requests wait until the sockets have been looked at: a connection that was closed, or on which an answer came that
   * nobody asked for, must not get one (GHSA-35p6-xmwp-9g52). It costs one immediate a turn, for all of them.
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
      // Whatever was freed in this turn is good for the next one.
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

  /** How long an idle connection may be kept; 0 or less: not at all. */
  #idleTimeMs(saidMs: number | undefined): number {
    return saidMs === undefined ? this.#idleMs : Math.min(saidMs - MARGIN_MS, MAX_IDLE_MS);
  }

  /** One timer for all of them. Which is the first to grow too old hardly ever changes. */
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

/** Whether it can be sent once more, should its connection end under it. */
function isRepeatable({ request: { method, body } }: Call): boolean {
  return (method === 'GET' || method === 'HEAD') && !body;
}
