import type { Attempt } from '../exchange/attempt.ts';
import { BrokenAnswerError, InvalidRequestError, RequestContentError } from '../http1/errors.ts';
import { RequestTimeoutError } from '../timeout/errors.ts';
import {
  AmbiguousRequestError,
  UpstreamBadResponseError,
  UpstreamSilentError,
  UpstreamUnreachableError,
} from './errors.ts';
import type { RequestBody } from './requestBody.ts';

/** Errors of the gateway pass as they are; those of the transport get the gateway's names. */
export function asProxyError(cause: Error, { target }: Attempt): Error {
  if ('status' in cause) return cause;
  if (isClientsFault(cause)) return new AmbiguousRequestError(cause.message, { cause });
  if (isBrokenAnswer(cause)) {
    return new UpstreamBadResponseError(`${target.id} sent a broken answer: ${cause.message}`, { cause });
  }
  return new UpstreamUnreachableError(`${target.id} did not answer: ${cause.message}`, { cause });
}

/** What cannot be sent, or has not the content it says, is no fault of the replica. */
function isClientsFault(cause: Error): boolean {
  return cause instanceof InvalidRequestError || cause instanceof RequestContentError;
}

/** A caller that left, was too slow, or sent what cannot be forwarded says nothing about the replica. */
export function blamesReplica(error: Error, body: RequestBody | null): boolean {
  if (error instanceof RequestTimeoutError) {
    return !error.callersOwn && (body === null || body.awaitsReplica);
  }
  return (
    error instanceof UpstreamUnreachableError ||
    error instanceof UpstreamBadResponseError ||
    error instanceof UpstreamSilentError
  );
}

/** Also what Node's own parser refuses, which reads the answers to upgrades. */
export function isBrokenAnswer(cause: Error): boolean {
  return cause instanceof BrokenAnswerError || ('code' in cause && String(cause.code).startsWith('HPE_'));
}
