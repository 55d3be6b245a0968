import { randomUUID } from 'node:crypto';
import type { NextFunction, Response } from 'express';
import type { TraceContext } from '../tracing/traceContext.ts';
import type { Attempt } from './attempt.ts';
import { ClientGoneError } from './errors.ts';
import type { Laps } from './laps.ts';

/** Who the verified token says is calling. Absent on the internal port and on public paths. */
export interface Identity {
  /** The token's `sub`. */
  readonly subject: string;
  /** Every claim of the token, as base64url JSON: what `X-Auth-Claims` carries. */
  readonly claims: string;
}

/**
 * One request and its answer on the way through the chain: the only state that middlewares share.
 * Each field names the one middleware that writes it; everybody may read it.
 */
export class Exchange {
  /** Names this request in logs, in the answer's `X-Request-Id` and to the service. Written by observe. */
  requestId: string = randomUUID();
  /** Path prefix of the service, `/budgeting`; `none` until one is found. Written by resolve. */
  service = 'none';
  /** What was cut off the front of the path before forwarding, or ''. Written by resolve. */
  prefix = '';
  /** Path and query as the service gets them, byte for byte. Written by resolve; '' means req.url. */
  upstreamTarget = '';
  /** Written by authenticate. */
  identity: Identity | undefined;
  /** When the caller gives up, in milliseconds since the epoch. Written by timeout. */
  deadlineAtMs: number | undefined;
  /** How the cache handled the request: `hit`, `miss`, `bypass`. Written by cache. */
  cacheVerdict: string | undefined;
  /** The try at a replica that is under way or was the last. Written by balance. */
  attempt: Attempt | undefined;
  /** The `code` of the error that the gateway replied with, or that cut the answer short. Written by both. */
  errorCode: string | undefined;
  /** What went wrong, for the log: its message may name hosts. Written along with `errorCode`. */
  failure: Error | undefined;
  /** Who settled the status: the gateway once it replies with an error. Written along with `errorCode`. */
  origin: 'gateway' | 'upstream' = 'upstream';
  /** Why nobody may serve this request; the connection ends with its reply. Written by the server. */
  refusal: Error | undefined;
  /** Where its time goes. Written by observe; whoever takes part of the time begins a lap. */
  laps: Laps | undefined;
  /** Its place in a distributed trace. Written by trace. */
  trace: TraceContext | undefined;
  /** Bytes that came behind the head of a request to upgrade its connection. Written by the server. */
  upgradeHead: Buffer | undefined;
  /** The connection left HTTP (101) and will not get another reply. Written by forward. */
  upgraded = false;

  readonly #controller = new AbortController();
  #replySettled = false;

  /** Aborted when the client leaves, the deadline passes or the gateway shuts down; its reason is the error. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Ends all work for this request. The first reason wins. The reply is `due` from whoever was interrupted, or
   * `settled`: the caller hands the reason to `next` itself, or nobody is left to read a reply.
   */
  abort(reason: Error, reply: 'due' | 'settled' = 'due'): void {
    if (this.signal.aborted) return;
    this.#replySettled = reply === 'settled';
    this.#controller.abort(reason);
  }

  /** Whether nobody but the one who aborted may say anything to `next` any more. */
  get replySettled(): boolean {
    return this.#replySettled;
  }
}

/** The exchange `res` answers, begun on first use, so that every middleware also works alone. */
export function exchangeOf(res: Response): Exchange {
  const { locals } = res;
  if (!locals.gateway) {
    const exchange = new Exchange();
    locals.gateway = exchange;
    res.once('close', () => {
      if (!res.writableFinished && !exchange.upgraded) exchange.abort(new ClientGoneError(), 'settled');
    });
  }
  return locals.gateway as Exchange;
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
