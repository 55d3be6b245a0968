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
  const gate = new RequestGate(options);
  return function concurrencyMiddleware(req, res, next) {
    gate.pass(req, res, next);
  };
}

/** Lets requests pass its limits, at once or after they have waited, or refuses them. */
class RequestGate {
  readonly #service: Permits | undefined;
  readonly #limits: LimitPair;
  readonly #terms: AdmissionTerms;
  readonly #callerOf: CallerOf;
  readonly #onChange: (held: number) => void;
  readonly #clock: Clock;

  constructor(options: Readonly<ConcurrencyOptions>) {
    const { service, gateway, streams, callerOf = () => '', clock = systemClock } = options;
    if (streams) assertWhole('concurrency: streams.afterMs', streams.afterMs);
    this.#service = service;
    this.#limits = new LimitPair({ service, gateway });
    this.#callerOf = callerOf;
    this.#clock = clock;
    this.#onChange = listener(options.onChange);
    this.#terms = {
      streams: streams && {
        limits: new LimitPair({ ...streams, counts: 'streams' }),
        longResponses: new Deadlines(streams.afterMs, clock),
      },
      onLimitReached: listener(options.onLimitReached),
      onBecameStream: () => this.#heldChanged(),
    };
  }

  pass(req: Request, res: Response, next: NextFunction): void {
    const caller = this.#callerOf(req, res);
    const asker = askerOf(req, res, caller);
    const nowMs = this.#clock.ticks();
    const given = this.#limits.enterNow(caller, asker, nowMs);
    if (!(given instanceof ConcurrencyLimitError)) this.#enter(given, caller, nowMs, res, next);
    else if (this.#limits.mayWait(given)) this.#wait(caller, asker, res, next);
    else this.#refuse(given, next);
  }

  #wait(caller: string, asker: string, res: Response, next: NextFunction): void {
    this.#limits.enter(exchangeOf(res).signal, caller, asker).then(
      (permits) => this.#enter(permits, caller, this.#clock.ticks(), res, next),
      (error: unknown) => this.#refuse(error, nextWhileDue(res, next)),
    );
  }

  /** The error of somebody who left while waiting is no limit's. */
  #refuse(error: unknown, next: (error: unknown) => void): void {
    if (error instanceof ConcurrencyLimitError) this.#terms.onLimitReached();
    next(error);
  }

  #enter(permits: PermitPair, caller: string, nowMs: number, res: Response, next: NextFunction): void {
    if (res.closed) {
      permits.release();
      return;
    }
    const exchange = exchangeOf(res);
    const admission = new RequestAdmission(permits, caller, res, this.#terms);
    exchange.admission = admission;
    admission.watch(nowMs);
    exchange.onClose(() => {
      admission.release();
      this.#heldChanged();
    });
    this.#heldChanged();
    next();
  }

  #heldChanged(): void {
    this.#onChange(this.#service?.held ?? 0);
  }
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
