import { randomUUID } from 'node:crypto';
import type { NextFunction, Response } from 'express';
import { writerOf } from '../response/responseWriter.ts';
import type { ResponseSink } from '../response/sink.ts';
import type { TraceContext } from '../tracing/traceContext.ts';
import type { Attempt, Target } from './attempt.ts';
import { ClientGoneError } from './errors.ts';
import type { Laps } from './laps.ts';

/** Who the verified token says is calling. Absent on the internal port and on public paths. */
export interface Identity {
  /** The value of the token's claim that says who is calling, as text; not enough to tell people apart. */
  readonly subject: string;
  /** The same for no two people: it names issuer, claim, type and value. Caches, limits and shares go by it. */
  readonly key: string;
  /** Every claim of the token, as base64url JSON: what `X-Auth-Claims` carries. */
  readonly claims: string;
}

/** How often services get one request at the most, over all replicas: once, and once more. */
const MAX_SENDS = 2;

/** A request's place among those that may be under way at a time. */
export interface Admission {
  /** Counts it for `caller` from now on. The error when that caller holds its share already. */
  countFor(caller: string): Error | undefined;
  /** Its response is a stream: it counts as one from now on, and no longer as a request. The error when there is no room. */
  becomeStream(): Error | undefined;
  /** Gives its place up. Safe to call twice. */
  release(): void;
}

/** Other replicas for a request that has come to nothing at one. */
export interface Elsewhere {
  /** Whether one of them would take it now. */
  isThere(): boolean;
  /** Begins a try at one of them, in place of the try that is over. */
  go(): void;
}

/**
 * One request and its answer on the way through the chain: the only state that middlewares share.
 * Each field names the one middleware that writes it; everybody may read it.
 */
export class Exchange {
  /** Where the response is written to: its client, or the cache that asks the service by itself. */
  readonly response: ResponseSink;
  /** Path prefix of the service, `/budgeting`; `none` until one is found. Written by resolve. */
  service = 'none';
  /** What was cut off the front of the path before forwarding, or ''. Written by resolve. */
  prefix = '';
  /** Path and query as the service gets them, byte for byte. Written by resolve; '' means req.url. */
  upstreamTarget = '';
  /**
   * Each `access_token` that was in the query, as it was written: the target does not hold them any more. Undefined where
   * there was none. Written by takeQueryToken.
   */
  queryTokens: readonly string[] | undefined;
  /** Written by authenticate. */
  identity: Identity | undefined;
  /** Whom the request is counted for before it is authenticated. Written by `callerOf`, which everybody asks. */
  clientAddress: string | undefined;
  /** Whether it asks for its token to be revoked: a logout. Written by admit. */
  revokes: boolean | undefined;
  /** Written by concurrency; absent where nothing is limited. */
  admission: Admission | undefined;
  /** The request's content, where it was waited for before the request went on. Written by collectContent. */
  content: Buffer | undefined;
  /** When the caller gives up, in milliseconds since the epoch. Written by timeout. */
  deadlineAtMs: number | undefined;
  /** How the cache handled the request: `hit`, `miss`, `bypass`. Written by cache. */
  cacheVerdict: string | undefined;
  /** The try that the response is from, or else the one that is under way or was the last. Written by balance, failover. */
  attempt: Attempt | undefined;
  /** The try that was begun last, behind which the earlier ones stand. Written by balance. */
  latestAttempt: Attempt | undefined;
  /** A second try that is under way beside `attempt`. Written by failover. */
  hedge: Attempt | undefined;
  /** Where the request may go instead when its kept connection was lost. Written by failover. */
  elsewhere: Elsewhere | undefined;
  /** The `code` of the error that the gateway replied with, or that cut the answer short. Written by both. */
  errorCode: string | undefined;
  /** What went wrong, for the log: its message may name hosts. Written along with `errorCode`. */
  failure: Error | undefined;
  /** Who settled the status: the gateway once it replies with an error. Written along with `errorCode`. */
  origin: 'gateway' | 'upstream' = 'upstream';
  /** Why nobody may serve this request. Written by the server, and on the internal port of requests of browsers. */
  refusal: Error | undefined;
  /** Where its time goes. Written by observe; whoever takes part of the time begins a lap. */
  laps: Laps | undefined;
  /** Its place in a distributed trace. Written by trace. */
  trace: TraceContext | undefined;
  /** Bytes that came behind the head of a request to upgrade its connection. Written by the server. */
  upgradeHead: Buffer | undefined;
  /** The connection left HTTP (101) and will not get another reply. Written by forward. */
  upgraded = false;

  #requestId: string | undefined;
  #abortReason: Error | undefined;
  #replySettled = false;
  #sends = 0;
  #controller: AbortController | undefined;
  #onAbort: ((reason: Error) => void)[] = [];
  #onClose: (() => void)[] = [];

  constructor(response: ResponseSink) {
    this.response = response;
  }

  /** Names this request in logs, in the answer's `X-Request-Id` and to the service. Written by observe. */
  get requestId(): string {
    this.#requestId ??= randomUUID();
    return this.#requestId;
  }

  set requestId(requestId: string) {
    this.#requestId = requestId;
  }

  /** Why all work for this request ends: the client left, its deadline passed or the gateway shuts down. */
  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  /**
   * Ends all work for this request. The first reason wins. The reply is `due` from whoever was interrupted, or
   * `settled`: the caller hands the reason to `next` itself, or nobody is left to read a reply.
   */
  abort(reason: Error, reply: 'due' | 'settled' = 'due'): void {
    if (this.#abortReason) return;
    this.#abortReason = reason;
    this.#replySettled = reply === 'settled';
    const callbacks = this.#onAbort;
    this.#onAbort = [];
    for (const callback of callbacks) callback(reason);
    this.#controller?.abort(reason);
  }

  /** Whether nobody but the one who aborted may say anything to `next` any more. */
  get replySettled(): boolean {
    return this.#replySettled;
  }

  /** Calls back once when the exchange is aborted, unless it was before. A tenth of what an AbortSignal costs. */
  onAbort(callback: (reason: Error) => void): void {
    if (!this.#abortReason) this.#onAbort.push(callback);
  }

  /** Takes back what `onAbort` was given. */
  offAbort(callback: (reason: Error) => void): void {
    const at = this.#onAbort.indexOf(callback);
    if (at !== -1) this.#onAbort.splice(at, 1);
  }

  /** The same as a signal, for what takes nothing else. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /**
   * Whether a service may be sent this request now. A lost connection, a failover and a hedge all are reasons to send
   * it again, and together they may do so once.
   */
  get maySend(): boolean {
    return this.#sends < MAX_SENDS;
  }

  /** Counts that a service is sent this request. To be asked just before its first byte is written; false: it must not be. */
  claimSend(): boolean {
    if (!this.maySend) return false;
    this.#sends += 1;
    return true;
  }

  /** Whether a try was begun at this replica, whatever became of it. */
  hasTried(target: Target): boolean {
    for (let attempt = this.latestAttempt; attempt; attempt = attempt.previous) {
      if (attempt.target === target) return true;
    }
    return false;
  }

  /** Breaks the other try off, if two are under way. To be called before anything of the response is written. */
  respondedBy(winner: Attempt): void {
    const { hedge, attempt } = this;
    if (!hedge) return;
    this.hedge = undefined;
    this.attempt = winner;
    (winner === hedge ? attempt : hedge)?.lose();
  }

  /** Calls back once the answer is over: given whole, cut short, or its client has left. */
  onClose(callback: () => void): void {
    this.#onClose.push(callback);
  }

  /** The response is over. Called by whoever has begun the exchange; what comes after the first time does nothing. */
  closed(): void {
    const callbacks = this.#onClose;
    this.#onClose = [];
    for (const callback of callbacks) callback();
  }
}

/** The exchange `res` answers, begun on first use, so that every middleware also works alone. */
export function exchangeOf(res: Response): Exchange {
  const { locals } = res;
  if (!locals.gateway) {
    locals.gateway = new Exchange(writerOf(res));
    // One listener for everybody who waits for the end: each of its own would cost a microsecond or two.
    res.on('close', onClose);
  }
  return locals.gateway as Exchange;
}

function onClose(this: Response): void {
  const exchange = exchangeOf(this);
  if (!this.writableFinished && !exchange.upgraded) exchange.abort(new ClientGoneError(), 'settled');
  exchange.closed();
}

/**
 * `next` for a middleware that waits for something: silent once the reply is settled elsewhere. Express would run
 * its last handler a second time, and that cuts the connection under the first reply.
 */
export function nextWhileDue(res: Response, next: NextFunction): NextFunction {
  const exchange = exchangeOf(res);
  return ((error?: unknown) => {
    if (!exchange.replySettled) next(error);
  }) as NextFunction;
}
