import type { RequestHandler, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import { addressOf as addressByPeer, type CallerOf, callerOf as callerByPeer } from '../exchange/caller.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import type { Breaker, Permit } from './contract.ts';
import { CircuitOpenError } from './errors.ts';

const NOT_IMPLEMENTED = 501;

export interface CircuitBreakerOptions {
  /** The breaker for the replica this request goes to; alone, one breaker for all requests. */
  readonly breakerFor: (res: Response) => Breaker;
  /** On whose behalf a request is made. Default: its identity, else the address of its peer. */
  readonly callerOf?: CallerOf;
  /** Where it comes from. Default: the address of its peer. */
  readonly addressOf?: CallerOf;
  readonly onRejected?: (breaker: Breaker) => void;
}

/**
 * Refuses requests to a failing replica with `CircuitOpenError` and reports how the others went.
 *
 * A 5xx and a response that is missing, broken or breaks off are failures. A 4xx, a client that leaves, 501 (the
 * method is not known there, which says nothing of how others fare) and an upgrade that is refused or ignored never are.
 */
export function circuitBreaker(options: Readonly<CircuitBreakerOptions>): RequestHandler {
  const {
    breakerFor,
    callerOf = callerByPeer(() => false),
    addressOf = addressByPeer(() => false),
  } = options;
  const onRejected = listener(options.onRejected);

  return function circuitBreakerMiddleware(req, res, next) {
    const breaker = breakerFor(res);
    const { attempt, upgradeHead } = exchangeOf(res);
    const permit = breaker.tryAcquire(callerOf(req, res), addressOf(req, res));
    if (!permit) {
      attempt?.end({ kind: 'abandoned' });
      onRejected(breaker);
      return next(new CircuitOpenError(breaker.retryAfterMs, attempt !== undefined));
    }
    if (attempt) reportAttempt(attempt, permit, upgradeHead !== undefined);
    else reportResponse(res, permit);
    next();
  };
}

/** The head decides, so that a trial answered by an endless stream does not keep the breaker half-open. */
function reportAttempt(attempt: Attempt, permit: Permit, isUpgrade: boolean): void {
  attempt.watch({
    responded: (status) => judge(status, permit, isUpgrade),
    ended: (outcome) => {
      if (outcome.kind === 'failed') permit.fail(outcome.failure);
      else if (outcome.kind === 'abandoned') permit.abandon();
    },
  });
}

/** Without our own forwarding there is only the response to go by. */
function reportResponse(res: Response, permit: Permit): void {
  res.once('close', () => {
    if (res.headersSent) judge(res.statusCode, permit, false);
    else permit.abandon();
  });
}

function judge(status: number, permit: Permit, isUpgrade: boolean): void {
  if (status < 500) permit.succeed();
  else if (status === NOT_IMPLEMENTED || isUpgrade) permit.abandon(true);
  else permit.fail('bad', true);
}
