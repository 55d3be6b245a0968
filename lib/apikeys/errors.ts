import { stackless } from '../util/stackless.ts';

export type ApiKeyProblem = 'api_key_missing' | 'api_key_invalid' | 'api_key_expired' | 'api_key_revoked';

/**
 * The request has no API key that is accepted now. `code` says why and is shown to clients; `message` has the exact reason, for
 * the log only. It may name the key's id, which is public, and never any other part of a key.
 */
export class ApiKeyError extends Error {
  override readonly name = 'ApiKeyError';
  readonly code: ApiKeyProblem;
  readonly status = 401;
  /** The `WWW-Authenticate` challenge. No scheme is registered for API keys; RFC 9110 section 11.6.1 asks for one all the same. */
  readonly challenge: string;

  constructor(code: ApiKeyProblem, message: string, field?: string) {
    super(message);
    this.code = code;
    this.challenge =
      field === undefined ? `ApiKey error="invalid_key", error_description="${code}"` : keyChallenge(field);
  }
}

/** The challenge of a route that takes keys in this field. */
export function keyChallenge(field: string): string {
  return `ApiKey field="${field}"`;
}

/** Makes the error without a stack trace, which would make a flood of bad keys expensive. */
export function apiKeyError(code: ApiKeyProblem, message: string, field?: string): ApiKeyError {
  return stackless(() => new ApiKeyError(code, message, field));
}

/** No key has this id. */
export class NoSuchApiKeyError extends Error {
  override readonly name = 'NoSuchApiKeyError';
  readonly code = 'no_such_api_key';
  readonly status = 404;
}

/** The key cannot be changed as asked: it was revoked, or somebody else has changed it at the same time. */
export class ApiKeyConflictError extends Error {
  override readonly name = 'ApiKeyConflictError';
  readonly code = 'api_key_conflict';
  readonly status = 409;
}

/** There are as many keys as there may be. Every gateway keeps all of them in memory. */
export class TooManyApiKeysError extends Error {
  override readonly name = 'TooManyApiKeysError';
  readonly code = 'too_many_api_keys';
  readonly status = 409;
}
