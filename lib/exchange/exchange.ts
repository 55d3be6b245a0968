import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import { writerOf } from '../response/responseWriter.ts';
import type { ResponseSink } from '../response/sink.ts';
import type { TraceContext } from '../tracing/traceContext.ts';
import type { Attempt, Target } from './attempt.ts';
import { ClientGoneError } from './errors.ts';
import type { Phases } from './phases.ts';

/** Who the verified token, or the API key, says is calling. Absent on the internal port and on public paths. */
export interface Identity {
  /**
   * The value of the token's identifying claim, as text. Two people may have the same one: use `key` to tell them
   * apart.
   */
  readonly subject: string;
  /** Unique for each person: issuer, claim, type and value. Caches, limits and fair shares use it. */
  readonly key: string;
  /** All claims of the token, as base64url JSON: the value of `X-Auth-Claims`. */
  readonly claims: string;
  /** Of a machine that calls with an API key: its public id, and whose it is. Undefined: it came with a token. */
  readonly apiKey?: { readonly id: string; readonly owner: string };
}

/** A token or API key, or what should be one, that was in a parameter of the query, in a cookie or in a field for keys. */
export interface TakenToken {
  readonly from: 'query' | 'cookie' | 'field';
  readonly name: string;
  readonly value: string;
}

/** How often one request may be sent to replicas, all of them together: once, and once again. */
const MAX_SENDS = 2;

/** A request's permit, counted towards the concurrency limits. */
export interface Admission {
  /** Counts the request for `caller` from now on. Returns an error when that caller already has its fair share. */
  countFor(caller: string): Error | undefined;
  /**
   * The response is a stream, so it counts towards the limit of streams instead. Returns an error when that is reached.
   */
  becomeStream(): Error | undefined;
  /** Releases the permit. Safe to call twice. */
  release(): void;
}

/** The other replicas of a service, for a request that has failed at one. */
export interface Elsewhere {
  /** Whether one of them would take the request now. */
  isThere(): boolean;
  /** Begins a new try at one of them, in place of the one that has ended. */
  go(): void;
}

/** Sees the content of a request while it is read for a replica. Content is read once, whatever becomes of that try. */
export interface ContentObserver {
  content(chunk: Buffer): void;
  /** All content was read. Not called for content that breaks off. */
  end(): void;
}

/**
 * One request and its response on their way through the chain. It is the only state that middlewares share. Each field
 * names the middleware that writes it; any middleware may read it.
 */
export class Exchange {
  /** Where the response is written to: its client, or the cache that asks the service by itself. */
  readonly response: ResponseSink;
  /** Path prefix of the service, `/budgeting`; `none` until one is found. Written by the router. */
  service = 'none';
  /** Name of the matched route; '' where its service has none. Written by the router. */
  route = '';
  /** The part of the path that is removed before forwarding, or ''. Written by the router. */
  prefix = '';
  /** Path and query as the service gets them, byte for byte. Written by the router; '' means req.url. */
  upstreamTarget = '';
  /** Whether it is a preflight for what its route is about, which `cors` answers. Written by the router. */
  preflight = false;
  /** The methods that its response allows; undefined: all of the rules'. Written by the router. */
  preflightMethods: readonly string[] | undefined;
  /**
   * What the query, cookies and fields for API keys carry, as it was written. It was removed from there. Undefined when there
   * was nothing. Written by queryToken, cookieToken and apiKey.
   */
  takenTokens: readonly TakenToken[] | undefined;
  /** Key of the replica that its cookie names, whether it may be asked or not. Written by stickyCookie. */
  keptReplica: string | undefined;
  /** Written by auth. */
  identity: Identity | undefined;
  /**
   * The caller that the request is counted for before it is authenticated. Written by `addressOf`, which caches it
   * here.
   */
  clientAddress: string | undefined;
  /** Whether the request is a logout, which revokes its token. Written by concurrency, or by auth without it. */
  revokes: boolean | undefined;
  /** The request's permit. Written by concurrency; undefined where nothing is limited. */
  admission: Admission | undefined;
  /** The whole content, for requests that wait for it before they go on. Written by collectContent. */
  content: Buffer | undefined;
  /** Written by mirror; undefined: nobody looks. */
  contentObserver: ContentObserver | undefined;
  /** When the caller gives up, in milliseconds since the epoch. Written by timeout. */
  deadlineAtMs: number | undefined;
  /** How the cache handled the request: `hit`, `miss`, `bypass`. Written by cache. */
  cacheVerdict: string | undefined;
  /** The try that has responded, or else the current or the last one. Written by loadBalancer, failover. */
  attempt: Attempt | undefined;
  /** The try that was begun last; `previous` leads to earlier ones. Written by loadBalancer. */
  latestAttempt: Attempt | undefined;
  /** A second try (hedge) that runs beside `attempt`. Written by failover. */
  hedge: Attempt | undefined;
  /** Whether it may be sent to replicas once only, whatever becomes of that. Written by failover. */
  isSentOnce = false;
  /** Other replicas for the request, if its kept-alive connection is lost. Written by failover. */
  elsewhere: Elsewhere | undefined;
  /**
   * The `code` of the error that the gateway replied with, or that cut the response short. Written by errorReplies and
   * proxy.
   */
  errorCode: string | undefined;
  /** The error itself, for the log only: its message may name hosts. Written along with `errorCode`. */
  failure: Error | undefined;
  /**
   * Who decided the status: the gateway when it replies with an error, or else the service. Written along with
   * `errorCode`.
   */
  origin: 'gateway' | 'upstream' = 'upstream';
  /** Why this request must not be served. Written by the server and, on the internal port, by the cross-site check. */
  refusal: Error | undefined;
  /** How long each part of the request takes. Written by observe; other middlewares begin their phase. */
  phases: Phases | undefined;
  /**
   * Its place in a distributed trace: undefined until a service is told of it, unless it came with one. Written by
   * trace.
   */
  trace: TraceContext | undefined;
  /** Begins a trace for a request that came without one. Written by trace. */
  beginTrace: (() => TraceContext) | undefined;
  /** Bytes that arrived after the head of a request to upgrade its connection. Written by the server. */
  upgradeHead: Buffer | undefined;
  /** Whether the connection was upgraded (101), so that no other reply can be sent. Written by proxy. */
  upgraded = false;

  #requestId: string | undefined;
  #abortReason: Error | undefined;
  #replySettled = false;
  #sends = 0;
  #controller: AbortController | undefined;
  /** Undefined while nobody waits for that, as in nearly every request. */
  #onAbort: ((reason: Error) => void)[] | undefined;
  /** Undefined once the response is over. */
  #onClose: (() => void)[] | undefined = [];

  constructor(response: ResponseSink) {
    this.response = response;
  }

  /** Identifies this request in logs, in the response's `X-Request-Id` and to the service. Written by observe. */
  get requestId(): string {
    this.#requestId ??= randomUUID();
    return this.#requestId;
  }

  set requestId(requestId: string) {
    this.#requestId = requestId;
  }

  /** `trace` for a service that is about to be called: begun now, if the request came without one. */
  joinTrace(): TraceContext | undefined {
    this.trace ??= this.beginTrace?.();
    return this.trace;
  }

  /** Why all work for this request must end: the client left, its deadline passed, or the gateway shuts down. */
  get abortReason(): Error | undefined {
    return this.#abortReason;
  }

  /**
   * Ends all work for this request; the first reason counts. `reply` says who replies to the client. With `due` whoever is
   * interrupted passes the reason to `next`. With `settled` nobody else may: the caller has done so, or no client is left.
   */
  abort(reason: Error, reply: 'due' | 'settled' = 'due'): void {
    if (this.#abortReason) return;
    this.#abortReason = reason;
    this.#replySettled = reply === 'settled';
    const callbacks = this.#onAbort;
    this.#onAbort = undefined;
    if (callbacks) for (const callback of callbacks) callback(reason);
    this.#controller?.abort(reason);
  }

  /** Whether the request was aborted by somebody who replies itself. Nobody else may call `next` with an error then. */
  get replySettled(): boolean {
    return this.#replySettled;
  }

  /** Calls back once when the exchange is aborted, unless it was before. It costs a tenth of an AbortSignal. */
  onAbort(callback: (reason: Error) => void): void {
    if (this.#abortReason) return;
    if (this.#onAbort) this.#onAbort.push(callback);
    else this.#onAbort = [callback];
  }

  /** Removes a callback of `onAbort`. */
  offAbort(callback: (reason: Error) => void): void {
    const at = this.#onAbort?.indexOf(callback) ?? -1;
    if (at !== -1) this.#onAbort?.splice(at, 1);
  }

  /** The same as an AbortSignal, for APIs that need one. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /**
   * Whether this request may be sent to a replica now. A lost connection, a failover and a hedge may each send it again,
   * but only once between them.
   */
  get maySend(): boolean {
    return this.#sends < (this.isSentOnce ? 1 : MAX_SENDS);
  }

  /**
   * To be called right before the request is written to a replica: counts it. When it returns false, nothing may be
   * sent.
   */
  claimSend(): boolean {
    if (!this.maySend) return false;
    this.#sends += 1;
    return true;
  }

  /** Whether a try at this replica was begun, whatever its outcome. */
  hasTried(target: Target): boolean {
    for (let attempt = this.latestAttempt; attempt; attempt = attempt.previous) {
      if (attempt.target === target) return true;
    }
    return false;
  }

  /** Aborts the other try, if two are running. To be called before any part of the response is written. */
  respondedBy(winner: Attempt): void {
    const { hedge, attempt } = this;
    if (!hedge) return;
    this.hedge = undefined;
    this.attempt = winner;
    (winner === hedge ? attempt : hedge)?.lose();
  }

  /** Calls back once the response is over: complete, cut short, or without a client. */
  onClose(callback: () => void): void {
    this.#onClose?.push(callback);
  }

  /** The response is over. Called by whoever has begun the exchange; what comes after the first time does nothing. */
  closed(): void {
    const callbacks = this.#onClose;
    this.#onClose = undefined;
    if (callbacks) for (const callback of callbacks) callback();
  }
}

/** Where a response keeps its exchange: it is asked for some twenty times, and `res.locals` takes ten times as long. */
const EXCHANGE = Symbol('exchange');

type Held = ServerResponse & { [EXCHANGE]?: Exchange };

/** The exchange that `res` belongs to. It is created on first use, so that each middleware also works alone. */
export function exchangeOf(res: Held): Exchange {
  return res[EXCHANGE] ?? begin(res);
}

/**
 * A response for handlers whose exchange has no connection. They may ask it for its exchange and for `req`, and nothing
 * else: what they write goes to `exchange.response`.
 */
export function unconnected(req: Request, exchange: Exchange): Response {
  return { req, locals: {}, [EXCHANGE]: exchange } as unknown as Response;
}

function begin(res: Held): Exchange {
  const exchange = new Exchange(writerOf(res));
  res[EXCHANGE] = exchange;
  // One listener for all callbacks: a listener for each would cost a microsecond or two.
  res.on('close', onClose);
  return exchange;
}

function onClose(this: Held): void {
  const exchange = exchangeOf(this);
  if (!this.writableFinished && !exchange.upgraded) exchange.abort(new ClientGoneError(), 'settled');
  exchange.closed();
}

/**
 * `next` for a middleware that waits for something: it does nothing once somebody else has replied. Otherwise Express would
 * run its error handler a second time, which cuts the connection in the middle of the first reply.
 */
export function nextWhileDue(res: Response, next: NextFunction): NextFunction {
  const exchange = exchangeOf(res);
  return ((error?: unknown) => {
    if (!exchange.replySettled) next(error);
  }) as NextFunction;
}
