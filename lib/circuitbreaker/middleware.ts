import type { RequestHandler, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import type { CircuitBreaker, Permit } from './breaker.ts';
import { CircuitOpenError } from './errors.ts';

export interface CircuitBreakerOptions {
  /** The breaker for the replica this request goes to; alone, one breaker for all requests. */
  readonly breakerFor: (res: Response) => CircuitBreaker;
  readonly onRejected?: (breaker: CircuitBreaker) => void;
}

/**
 * Refuses requests to a failing replica with `CircuitOpenError` and reports how the others went.
 * Failures are a broken or missing answer and 5xx; a 4xx or a client that leaves never counts.
 */
export function circuitBreaker(options: Readonly<CircuitBreakerOptions>): RequestHandler {
  const { breakerFor } = options;
  const onRejected = listener(options.onRejected);

  return function circuitBreakerMiddleware(_req, res, next) {
    const breaker = breakerFor(res);
    const { attempt } = exchangeOf(res);
    const permit = breaker.tryAcquire();
    if (!permit) {
      attempt?.end({ kind: 'abandoned' });
      onRejected(breaker);
      return next(new CircuitOpenError(breaker.retryAfterMs));
    }
    if (attempt) reportAttempt(attempt, permit);
    else reportResponse(res, permit);
    next();
  };
}

/** The head decides, so that a trial answered by an endless stream does not keep the breaker half-open. */
function reportAttempt(attempt: Attempt, permit: Permit): void {
  attempt.watch({
    answered: (status) => judge(status, permit),
    ended: (outcome) => {
      if (outcome.kind === 'failed') permit.fail();
      else if (outcome.kind === 'abandoned') permit.abandon();
    },
  });
}

/** Without our own forwarding there is only the response to go by. */
function reportResponse(res: Response, permit: Permit): void {
  res.once('close', () => {
    if (res.headersSent) judge(res.statusCode, permit);
    else permit.abandon();
  });
}

function judge(status: number, permit: Permit): void {
  if (status >= 500) permit.fail();
  else permit.succeed();
}
