import { createHash, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { Request } from 'express';
import jwt from 'jsonwebtoken';
import { TokenError } from '../../../lib/auth/errors.ts';
import { bearerToken } from '../../../lib/auth/sources/bearer.ts';
import {
  createVerifier,
  type VerifiedToken,
  type VerifierOptions,
} from '../../../lib/auth/tokens/verifier.ts';
import { call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { SECRET, sign } from '../../support/tokens.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
const NOW_SECONDS = NOW_MS / 1000;
const clock = new ManualClock(NOW_MS);
const verify = verifierOf({ secret: SECRET, algorithms: ['HS256'], clock });

/** For HS algorithms, which need no waiting. */
function verifierOf(options: VerifierOptions): (token: string) => VerifiedToken {
  const verify = createVerifier(options);
  return (token) => {
    const verified = verify(token);
    if (verified instanceof Promise) throw new Error('it should not have to wait');
    return verified;
  };
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
  return 'accepted';
}

function base64url(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** The token with another part in place of its header (0), payload (1) or signature (2). */
function withPart(token: string, index: number, part: string): string {
  return token.split('.').with(index, part).join('.');
}

/** A last letter that differs in bits which nobody decodes. */
function respelt(token: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return letters[letters.indexOf(token.at(-1) ?? '') ^ 1] ?? '';
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const alice = { sub: 'alice', exp: NOW_SECONDS + 60 };
const good = sign(clock);
const mallory = sign(clock, { sub: 'mallory' });

describe('createVerifier', () => {
  it('tells who a good token speaks for', () => {
    const claims = { sub: 'alice', iat: NOW_SECONDS, exp: NOW_SECONDS + 60, roles: ['a', 'b'] };
    const token = sign(clock, claims);
    const verified = verify(token);
    expect(verified).toEqual({
      token,
      digest: createHash('sha256').update(token).digest('hex'),
      subject: 'alice',
      key: 'nobody sub string:alice',
      names: ['alice'],
      claims: expect.any(String),
      jti: undefined,
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 60_000,
      acceptedUntilMs: NOW_MS + 60_000,
    });
    expect(JSON.parse(Buffer.from(verified.claims, 'base64url').toString())).toEqual(claims);
  });

  const tokens: { name: string; token: string; out: string }[] = [
    { name: 'HS256', token: good, out: 'accepted' },
    { name: 'no expiry', token: sign(clock, { exp: undefined }), out: 'token_invalid' },
    { name: 'a numeric sub', token: sign(clock, { sub: 42 }), out: 'accepted' },
    { name: 'one second to live', token: sign(clock, { exp: NOW_SECONDS + 1 }), out: 'accepted' },
    { name: 'no more time', token: sign(clock, { exp: NOW_SECONDS }), out: 'token_expired' },
    { name: 'an expiry a second ago', token: sign(clock, { exp: NOW_SECONDS - 1 }), out: 'token_expired' },
    { name: 'an expiry in half a second', token: sign(clock, { exp: NOW_SECONDS + 0.5 }), out: 'accepted' },
    { name: 'an nbf now', token: sign(clock, { nbf: NOW_SECONDS }), out: 'accepted' },
    { name: 'an nbf ahead', token: sign(clock, { nbf: NOW_SECONDS + 1 }), out: 'token_invalid' },
    {
      name: 'an expiry that is no number',
      token: `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ sub: 'alice', exp: 'never' })}.x`,
      out: 'token_invalid',
    },
    { name: 'no sub', token: sign(clock, { sub: undefined }), out: 'token_invalid' },
    { name: 'an empty sub', token: sign(clock, { sub: '' }), out: 'token_invalid' },
    { name: 'half a character for a sub', token: sign(clock, { sub: '\ud800' }), out: 'token_invalid' },
    { name: 'a payload that is text', token: jwt.sign('alice', SECRET), out: 'token_invalid' },
    { name: 'a payload that is a list', token: jwt.sign('["alice"]', SECRET), out: 'token_invalid' },
    { name: 'another secret', token: jwt.sign(alice, `${SECRET}!`), out: 'token_invalid' },
    { name: 'alg none', token: jwt.sign(alice, '', { algorithm: 'none' }), out: 'token_invalid' },
    {
      name: 'alg None in odd case',
      token: `${base64url({ alg: 'nOnE', typ: 'JWT' })}.${base64url(alice)}.`,
      out: 'token_invalid',
    },
    {
      name: 'HS512, which is not allowed',
      token: sign(clock, {}, { algorithm: 'HS512' }),
      out: 'token_invalid',
    },
    {
      name: 'RS256, signed with a key of its own',
      token: jwt.sign(alice, rsa.privateKey, { algorithm: 'RS256' }),
      out: 'token_invalid',
    },
    {
      name: 'HS256, signed with a public key',
      token: jwt.sign(alice, rsa.publicKey.export({ type: 'spki', format: 'pem' }), {
        algorithm: 'HS256',
      }),
      out: 'token_invalid',
    },
    {
      name: 'the signature of another',
      token: withPart(good, 2, mallory.split('.')[2] ?? ''),
      out: 'token_invalid',
    },
    {
      name: 'the payload of another',
      token: withPart(good, 1, mallory.split('.')[1] ?? ''),
      out: 'token_invalid',
    },
    {
      name: 'its signature spelt another way',
      token: good.slice(0, -1) + respelt(good),
      out: 'token_invalid',
    },
    { name: 'its signature padded', token: `${good}=`, out: 'token_invalid' },
    { name: 'no signature', token: withPart(good, 2, ''), out: 'token_invalid' },
    { name: 'two parts', token: good.split('.').slice(0, 2).join('.'), out: 'token_invalid' },
    { name: 'four parts', token: `${good}.a`, out: 'token_invalid' },
    { name: 'garbage', token: 'garbage', out: 'token_invalid' },
    { name: 'dots', token: '...', out: 'token_invalid' },
    { name: 'nothing', token: '', out: 'token_invalid' },
    { name: 'a header that is no JSON', token: withPart(good, 0, base64url('{')), out: 'token_invalid' },
    { name: 'a header that is null', token: withPart(good, 0, base64url('null')), out: 'token_invalid' },
    { name: 'unicode', token: `${good}\u{1F4B0}`, out: 'token_invalid' },
    { name: '16 KB', token: sign(clock, { padding: 'x'.repeat(12_000) }), out: 'accepted' },
    { name: '16 KB of garbage', token: 'x.'.repeat(8_192), out: 'token_invalid' },
    { name: 'a megabyte of dots', token: '.'.repeat(2 ** 20), out: 'token_invalid' },
  ];

  it.each(tokens)('answers a token with $name: $out', ({ token, out }) => {
    expect(codeOf(() => verify(token))).toBe(out);
  });

  it('takes a numeric sub for text', () => {
    expect(verify(sign(clock, { sub: 42 })).subject).toBe('42');
  });

  it('takes a token without exp to last forever, where such are accepted', () => {
    const lenient = verifierOf({ secret: SECRET, algorithms: ['HS256'], requireExpiry: false, clock });
    expect(lenient(sign(clock, { exp: undefined })).expiresAtMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('judges by its own clock', () => {
    const later = verifierOf({
      secret: SECRET,
      algorithms: ['HS256'],
      clock: new ManualClock(NOW_MS + 3_600_000),
    });
    expect(codeOf(() => later(good))).toBe('token_expired');
  });

  it('accepts every algorithm that it was told to', () => {
    const both = verifierOf({ secret: SECRET, algorithms: ['HS256', 'HS512'], clock });
    expect(both(sign(clock, {}, { algorithm: 'HS512' })).subject).toBe('alice');
    expect(both(good).subject).toBe('alice');
  });

  it('keeps what was wrong for the log, and says nothing of it in the challenge', () => {
    const error = new TokenError('token_invalid', 'not a JWT');
    expect(error.challenge).toBe('Bearer error="invalid_token", error_description="token_invalid"');
    expect(new TokenError('token_missing', 'no field').challenge).toBe('Bearer');
    expect(() => verify('garbage')).toThrow(
      expect.objectContaining({ message: 'not a JWT: it does not have three parts', status: 401 }),
    );
  });

  it.each([
    { name: 'an empty secret', options: { secret: '', algorithms: ['HS256'] as const } },
    { name: 'no algorithm', options: { secret: SECRET, algorithms: [] } },
  ])('refuses $name', ({ options }) => {
    expect(() => createVerifier(options)).toThrow(TypeError);
  });
});

describe('bearerToken', () => {
  /** What it makes of a request with these field values. */
  async function tokenOf(values: readonly string[]): Promise<string> {
    let seen = '';
    await using app = await bareApp((req: Request, res) => {
      try {
        seen = bearerToken(req);
      } catch (error) {
        seen = (error as TokenError).code;
      }
      res.end();
    });
    await call(app.url, { headers: ['Host', 'a', ...values.flatMap((value) => ['Authorization', value])] });
    return seen;
  }

  it.each([
    { name: 'no field', values: [], out: 'token_missing' },
    { name: 'the scheme as it is written', values: ['Bearer a.b.c'], out: 'a.b.c' },
    { name: 'the scheme in lower case', values: ['bearer a.b.c'], out: 'a.b.c' },
    { name: 'the scheme in odd case', values: ['bEaReR a.b.c'], out: 'a.b.c' },
    { name: 'more than one space', values: ['Bearer   a.b.c'], out: 'a.b.c' },
    { name: 'space around it', values: ['  Bearer a.b.c  '], out: 'a.b.c' },
    { name: 'a tab', values: ['Bearer\ta.b.c'], out: 'token_missing' },
    { name: 'no space', values: ['Bearera.b.c'], out: 'token_missing' },
    { name: 'the scheme alone', values: ['Bearer'], out: 'token_missing' },
    { name: 'the scheme and a space', values: ['Bearer '], out: 'token_missing' },
    { name: 'the token alone', values: ['a.b.c'], out: 'token_missing' },
    { name: 'nothing', values: [''], out: 'token_missing' },
    { name: 'Basic', values: ['Basic YTpi'], out: 'token_missing' },
    { name: 'two words', values: ['Bearer a.b.c d'], out: 'a.b.c d' },
    { name: 'two fields', values: ['Bearer a', 'Bearer b'], out: 'token_invalid' },
    { name: 'the same field twice', values: ['Bearer a', 'Bearer a'], out: 'token_invalid' },
    { name: 'Basic before Bearer', values: ['Basic a', 'Bearer b'], out: 'token_invalid' },
  ])('reads $name: $out', async ({ values, out }) => {
    expect(await tokenOf(values)).toBe(out);
  });
});
