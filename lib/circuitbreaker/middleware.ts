import type { RequestHandler, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import { addressOf as addressByPeer, type CallerOf, callerOf as callerByPeer } from '../exchange/caller.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import type { Breaker, Permit } from './contract.ts';
import { CircuitOpenError } from './errors.ts';

const NOT_IMPLEMENTED = 501;

export interface CircuitBreakerOptions {
  /** The breaker of the replica that this request goes to; without a balancer, one breaker for all requests. */
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
 * A 5xx is a failure, and so is a response that is missing, malformed or breaks off. These are no failures: a 4xx, a
 * client that leaves, 501 (the replica does not know the method, which says nothing about other requests) and an upgrade
 * that is refused or ignored.
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

/** The response's head decides, so that a trial with an endless response does not keep the breaker half-open. */
function reportAttempt(attempt: Attempt, permit: Permit, isUpgrade: boolean): void {
  attempt.watch({
    responded: (status) => judge(status, permit, isUpgrade),
    ended: (outcome) => {
      if (outcome.kind === 'failed') permit.fail(outcome.failure);
      else if (outcome.kind === 'abandoned') permit.abandon();
    },
  });
}

/** Without a balancer there is no attempt to watch: only the response tells how the call went. */
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
