import type { Attempt } from '../exchange/attempt.ts';
import {
  BrokenAnswerError,
  InvalidRequestError,
  RequestContentError,
  ResponseHeadTooLargeError,
} from '../http1/errors.ts';
import { RequestTimeoutError } from '../timeout/errors.ts';
import {
  AmbiguousRequestError,
  UpstreamBadResponseError,
  UpstreamHeadTooLargeError,
  UpstreamSilentError,
  UpstreamUnreachableError,
} from './errors.ts';
import type { RequestBody } from './requestBody.ts';

/** Errors of the gateway pass as they are; those of the transport get the gateway's names. */
export function asProxyError(cause: Error, { target }: Attempt): Error {
  if ('status' in cause) return cause;
  if (isClientsFault(cause)) return new AmbiguousRequestError(cause.message, { cause });
  if (isHeadTooLarge(cause)) {
    return new UpstreamHeadTooLargeError(`${target.id} sent too large a head: ${cause.message}`, { cause });
  }
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

/** A limit of ours: other requests to the replica may fare well. Node's parser reads the responses to upgrades. */
function isHeadTooLarge(cause: Error): boolean {
  if (cause instanceof ResponseHeadTooLargeError) return true;
  return 'code' in cause && cause.code === 'HPE_HEADER_OVERFLOW';
}

/** Also what Node's own parser refuses, which reads the answers to upgrades. */
export function isBrokenAnswer(cause: Error): boolean {
  return cause instanceof BrokenAnswerError || ('code' in cause && String(cause.code).startsWith('HPE_'));
}
