import { describe, expect, it } from '@jest/globals';
import {
  BadRevocationError,
  InsufficientScopeError,
  KeysUnavailableError,
  NoSuchRevocationError,
  TokenError,
  TooManyRevocationsError,
} from '../../../lib/auth/errors.ts';

describe('errors of auth', () => {
  it.each([
    [new TokenError('token_expired', 'm'), 'TokenError', 'token_expired', 401],
    [new InsufficientScopeError('m', []), 'InsufficientScopeError', 'insufficient_scope', 403],
    [new KeysUnavailableError('m'), 'KeysUnavailableError', 'keys_unavailable', 503],
    [new BadRevocationError('m'), 'BadRevocationError', 'bad_revocation', 400],
    [new NoSuchRevocationError('m'), 'NoSuchRevocationError', 'no_such_revocation', 404],
    [new TooManyRevocationsError('m'), 'TooManyRevocationsError', 'too_many_revocations', 409],
  ] as const)('%s has a name for the log, a code and a status', (error, name, code, status) => {
    expect(error).toMatchObject({ name, code, status, message: 'm' });
  });

  it.each([
    [[], 'Bearer error="insufficient_scope"'],
    [['read'], 'Bearer error="insufficient_scope", scope="read"'],
    [['read', 'write'], 'Bearer error="insufficient_scope", scope="read write"'],
  ])('a challenge says which scopes would do: %j', (scopes, challenge) => {
    expect(new InsufficientScopeError('m', scopes).challenge).toBe(challenge);
  });
});
