import { errors } from 'undici';
import type { Attempt } from '../exchange/attempt.ts';
import { RequestTimeoutError } from '../timeout/errors.ts';
import { UpstreamBadResponseError, UpstreamSilentError, UpstreamUnreachableError } from './errors.ts';
import type { RequestBody } from './requestBody.ts';

/** How undici says that what came is no HTTP, or more of it than it reads. */
const BROKEN_ANSWERS = [
  errors.HTTPParserError,
  errors.HeadersOverflowError,
  errors.ResponseContentLengthMismatchError,
];

/** Errors of the gateway pass as they are; those of the transport get the gateway's names. */
export function asProxyError(cause: Error, { target }: Attempt): Error {
  if ('status' in cause) return cause;
  if (isBrokenAnswer(cause)) {
    return new UpstreamBadResponseError(`${target.id} sent a broken answer: ${cause.message}`, { cause });
  }
  return new UpstreamUnreachableError(`${target.id} did not answer: ${cause.message}`, { cause });
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

/** Also an interim answer or a switch of protocols that nobody asked for: undici closes the connection on them. */
export function isBrokenAnswer(cause: Error): boolean {
  if (cause instanceof errors.SocketError && /^bad (response|upgrade)$/.test(cause.message)) return true;
  const isParserError = 'code' in cause && String(cause.code).startsWith('HPE_');
  return isParserError || BROKEN_ANSWERS.some((broken) => cause instanceof broken);
}
