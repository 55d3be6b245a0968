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
import { TlsFailedError, tlsFailed } from '../../http1/tlsFailure.ts';
import { RequestTimeoutError } from '../../timeout/errors.ts';
import {
  AmbiguousRequestError,
  GatewayExhaustedError,
  UpstreamBadResponseError,
  UpstreamHeadTooLargeError,
  UpstreamSilentError,
  UpstreamTlsError,
  UpstreamUnreachableError,
} from '../errors.ts';
import type { RequestBody } from '../request/requestBody.ts';
import { isOurShortage } from '../shortage.ts';

/** Turns an error of the transport into one of the gateway's. Errors of the gateway itself are returned unchanged. */
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
    return new UpstreamBadResponseError(`${target.id} sent a broken response: ${cause.message}`, { cause });
  }
  // Upgrades use Node's own client, whose errors are not told apart yet.
  const failed = cause instanceof TlsFailedError ? cause : tlsFailed(cause);
  if (failed) return new UpstreamTlsError(target.id, failed);
  return new UpstreamUnreachableError(`${target.id} did not respond: ${cause.message}`, { cause });
}

/** A request that cannot be sent, or whose content contradicts its length, is no fault of the replica. */
function isClientsFault(cause: Error): boolean {
  return cause instanceof InvalidRequestError || cause instanceof RequestContentError;
}

/**
 * What a failed try says about its replica. Undefined when it says nothing: the caller left, was too slow, or sent a request
 * that cannot be forwarded.
 */
export function failureKindOf(
  error: Error,
  attempt: Attempt,
  body: RequestBody | null,
): FailureKind | undefined {
  if (error instanceof RequestTimeoutError)
    return isReplicasFault(error, body) ? badUnlessSilent(attempt) : undefined;
  if (error instanceof UpstreamUnreachableError) {
    return isNotConnected(error.cause) ? 'absent' : badUnlessSilent(attempt);
  }
  if (error instanceof UpstreamBadResponseError) return isOverOurLimit(error.cause) ? undefined : 'bad';
  return error instanceof UpstreamSilentError ? 'bad' : undefined;
}

/** Whether the replica had the whole request and the whole deadline, and still sent no response. */
function isReplicasFault({ callersOwn }: RequestTimeoutError, body: RequestBody | null): boolean {
  return !callersOwn && (body === null || body.awaitsReplica);
}

export const ABANDONED: Outcome = { kind: 'abandoned' };

export interface EndOfTry {
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  readonly res: Response;
}

/** The outcome of a try that has failed, or broken off, with `error`. */
export function outcomeOf(error: Error, { attempt, body, res }: EndOfTry): Outcome {
  const isLate = error instanceof RequestTimeoutError && isReplicasFault(error, body);
  if (isLate) attempt.judge(res);
  if (isLate && attempt.isHedge && !attempt.silent) return ABANDONED;
  const failure = failureKindOf(error, attempt, body);
  return failure ? { kind: 'failed', failure, error } : ABANDONED;
}

/**
 * A single request without a response is `bad`. It is `absent` only when the replica has responded to nobody else
 * either.
 */
function badUnlessSilent({ silent }: Attempt): FailureKind {
  return silent ? 'absent' : 'bad';
}

/** The response is valid HTTP, but larger than the gateway accepts. The replica's other responses may be fine. */
function isOverOurLimit(cause: unknown): boolean {
  return cause instanceof BrokenResponseError && cause.isOurLimit;
}

/**
 * Whether no connection came about. Upgrades use Node's own client, whose errors name the system call that failed.
 */
function isNotConnected(cause: unknown): boolean {
  if (cause instanceof NotConnectedError || cause instanceof ConnectTimeoutError) return true;
  if (!Error.isError(cause)) return false;
  return 'syscall' in cause && (cause.syscall === 'connect' || cause.syscall === 'getaddrinfo');
}

/**
 * The response's head is over the gateway's limit. Responses to upgrades are read by Node's parser, which has its own
 * code.
 */
function isHeadTooLarge(cause: Error): boolean {
  if (cause instanceof ResponseHeadTooLargeError) return true;
  return 'code' in cause && cause.code === 'HPE_HEADER_OVERFLOW';
}

/**
 * Whether the response is not valid HTTP. Responses to upgrades are read by Node's parser, whose codes begin with HPE_.
 */
export function isBrokenResponse(cause: Error): boolean {
  return cause instanceof BrokenResponseError || ('code' in cause && String(cause.code).startsWith('HPE_'));
}
