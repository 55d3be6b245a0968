import type { Response } from 'express';
import type { Attempt, FailureKind, Outcome } from '../../exchange/attempt.ts';
import {
  BrokenResponseError,
  ConnectTimeoutError,
  InvalidRequestError,
  NotConnectedError,
  RequestContentError,
  ResponseHeadTooLargeError,
} from '../../http1/errors.ts';
import { RequestTimeoutError } from '../../timeout/errors.ts';
import {
  AmbiguousRequestError,
  GatewayExhaustedError,
  UpstreamBadResponseError,
  UpstreamHeadTooLargeError,
  UpstreamSilentError,
  UpstreamUnreachableError,
} from '../errors.ts';
import type { RequestBody } from '../request/requestBody.ts';
import { isOurShortage } from '../shortage.ts';

/** Errors of the gateway pass as they are; those of the transport get the gateway's names. */
export function asProxyError(cause: Error, { target }: Attempt): Error {
  if ('status' in cause) return cause;
  if (isOurShortage(cause)) {
    return new GatewayExhaustedError(`no connection to ${target.id}: ${cause.message}`, { cause });
  }
  if (isClientsFault(cause)) return new AmbiguousRequestError(cause.message, { cause });
  if (isHeadTooLarge(cause)) {
    return new UpstreamHeadTooLargeError(`${target.id} sent too large a head: ${cause.message}`, { cause });
  }
  if (isBrokenResponse(cause)) {
    return new UpstreamBadResponseError(`${target.id} sent a broken answer: ${cause.message}`, { cause });
  }
  return new UpstreamUnreachableError(`${target.id} did not answer: ${cause.message}`, { cause });
}

/** What cannot be sent, or has not the content it says, is no fault of the replica. */
function isClientsFault(cause: Error): boolean {
  return cause instanceof InvalidRequestError || cause instanceof RequestContentError;
}

/**
 * What the end of a try says about its replica; undefined: nothing, since the caller left, was too slow, or sent what
 * cannot be forwarded.
 */
export function failureKindOf(
  error: Error,
  attempt: Attempt,
  body: RequestBody | null,
): FailureKind | undefined {
  if (error instanceof RequestTimeoutError) return owes(error, body) ? unlessSilent(attempt) : undefined;
  if (error instanceof UpstreamUnreachableError) {
    return isNotConnected(error.cause) ? 'absent' : unlessSilent(attempt);
  }
  if (error instanceof UpstreamBadResponseError) return isOverOurLimit(error.cause) ? undefined : 'bad';
  return error instanceof UpstreamSilentError ? 'bad' : undefined;
}

/** Whether the replica owed a response at the deadline, and had all of the time for it. */
function owes({ callersOwn }: RequestTimeoutError, body: RequestBody | null): boolean {
  return !callersOwn && (body === null || body.awaitsReplica);
}

export const ABANDONED: Outcome = { kind: 'abandoned' };

export interface EndOfTry {
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  readonly res: Response;
}

/** How a try ends that came to nothing, or broke off, because of `error`. */
export function outcomeOf(error: Error, { attempt, body, res }: EndOfTry): Outcome {
  const isLate = error instanceof RequestTimeoutError && owes(error, body);
  if (isLate) attempt.judge(res);
  if (isLate && attempt.isHedge && !attempt.silent) return ABANDONED;
  const failure = failureKindOf(error, attempt, body);
  return failure ? { kind: 'failed', failure, error } : ABANDONED;
}

/** One request without a response is `bad`: what waits for all of them is for whoever watches the replica to say. */
function unlessSilent({ silent }: Attempt): FailureKind {
  return silent ? 'absent' : 'bad';
}

/** A response that is right by HTTP and more than we take: others of the replica may well be smaller. */
function isOverOurLimit(cause: unknown): boolean {
  return cause instanceof BrokenResponseError && cause.isOurLimit;
}

/** Whether there was never a connection; the client behind an upgrade is Node's, and tells by the name of the call. */
function isNotConnected(cause: unknown): boolean {
  if (cause instanceof NotConnectedError || cause instanceof ConnectTimeoutError) return true;
  if (!Error.isError(cause)) return false;
  return 'syscall' in cause && (cause.syscall === 'connect' || cause.syscall === 'getaddrinfo');
}

/** A limit of ours: other requests to the replica may fare well. Node's parser reads the responses to upgrades. */
function isHeadTooLarge(cause: Error): boolean {
  if (cause instanceof ResponseHeadTooLargeError) return true;
  return 'code' in cause && cause.code === 'HPE_HEADER_OVERFLOW';
}

/** Also what Node's own parser refuses, which reads the answers to upgrades. */
export function isBrokenResponse(cause: Error): boolean {
  return cause instanceof BrokenResponseError || ('code' in cause && String(cause.code).startsWith('HPE_'));
}
