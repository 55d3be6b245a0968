import type { IncomingMessage } from 'node:http';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { CallerOf } from '../exchange/caller.ts';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { assertWhole } from '../timeout/assertWhole.ts';
import { Deadlines } from '../timeout/deadlines.ts';
import { listener } from '../util/listener.ts';
import { type AdmissionTerms, RequestAdmission } from './admission.ts';
import { ConcurrencyLimitError } from './errors.ts';
import { LimitPair, type PermitPair } from './limitPair.ts';
import type { Permits } from './permits.ts';

/** The limits of open streams, and when a response counts as one. */
export interface StreamOptions {
  readonly service: Permits;
  readonly gateway: Permits;
  /** A response that lasts so long after its request was admitted is a stream, in milliseconds; 1..2147483647. */
  readonly afterMs: number;
}

export interface ConcurrencyOptions {
  /** The limit of the service behind this middleware. Default: none. */
  readonly service?: Permits;
  /** The limit shared by all services. Default: none. */
  readonly gateway?: Permits;
  /** Responses that become streams are counted here instead. Default: they stay requests. */
  readonly streams?: StreamOptions;
  /** The caller for whom a request is counted until it is authenticated. Default: one caller for all. */
  readonly callerOf?: CallerOf;
  /** Called whenever the number of admitted requests changes, with the service's count, which has no streams in it. */
  readonly onChange?: (held: number) => void;
  /** Called for each request or stream that is refused. */
  readonly onLimitReached?: () => void;
  readonly clock?: Clock;
}

/**
 * Admits as many requests at a time as the limits allow and refuses the others with `ConcurrencyLimitError`. It limits
 * concurrency, not rate: a fast client may send any number in a row. The permits are released when the response is
 * complete or the client has gone, whichever comes first; those of a request are released when it becomes a stream.
 *
 * Here a request is counted for its address, and for its identity once `countIdentity` has run. Several users behind
 * one address are told apart as askers by the token that they send, wherever they send it. It is not verified yet, but
 * a made-up token can only make somebody's share smaller than the whole.
 */
export function concurrency(options: Readonly<ConcurrencyOptions>): RequestHandler {
  const { service, gateway, streams, callerOf = () => '', clock = systemClock } = options;
  if (streams) assertWhole('concurrency: streams.afterMs', streams.afterMs);
  const limits = new LimitPair({ service, gateway });
  const onChange = listener(options.onChange);
  const onLimitReached = listener(options.onLimitReached);
  const onHeldChange = () => onChange(service?.held ?? 0);
  const terms: AdmissionTerms = {
    streams: streams && {
      limits: new LimitPair({ ...streams, counts: 'streams' }),
      longResponses: new Deadlines(streams.afterMs, clock),
    },
    onLimitReached,
    onBecameStream: onHeldChange,
  };

  function enter(
    permits: PermitPair,
    caller: string,
    nowMs: number,
    res: Response,
    next: NextFunction,
  ): void {
    if (res.closed) {
      permits.release();
      return;
    }
    const exchange = exchangeOf(res);
    const admission = new RequestAdmission(permits, caller, res, terms);
    exchange.admission = admission;
    if (streams) admission.watch(nowMs);
    exchange.onClose(() => {
      admission.release();
      onHeldChange();
    });
    onHeldChange();
    next();
  }

  return function concurrencyMiddleware(req, res, next) {
    const caller = callerOf(req, res);
    const asker = askerOf(req, res, caller);
    const nowMs = clock.ticks();
    const given = limits.enterNow(caller, asker, nowMs);
    if (!(given instanceof ConcurrencyLimitError)) {
      enter(given, caller, nowMs, res, next);
    } else if (!limits.mayWait(given)) {
      onLimitReached();
      next(given);
    } else {
      const refuse = (error: unknown) => {
        if (error instanceof ConcurrencyLimitError) onLimitReached();
        nextWhileDue(res, next)(error);
      };
      limits
        .enter(exchangeOf(res).signal, caller, asker)
        .then((permits) => enter(permits, caller, clock.ticks(), res, next), refuse);
    }
  };
}

/**
 * Counts the request for its verified identity instead of its address. Put it right behind authentication, because
 * until then all users of an address share what one caller may hold.
 */
export function countIdentity(): RequestHandler {
  return function countIdentityMiddleware(_req: Request, res: Response, next: NextFunction) {
    const { admission, identity } = exchangeOf(res);
    next(identity && admission?.countFor(identity.key));
  };
}

/** Names who asks as exactly as possible before anything is verified. */
function askerOf({ headers }: IncomingMessage, res: Response, caller: string): string {
  return (
    headers.authorization ??
    exchangeOf(res).takenTokens?.[0]?.value ??
    headers['sec-websocket-protocol'] ??
    caller
  );
}
