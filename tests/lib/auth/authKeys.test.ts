import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { exportJWK, type JWK, SignJWT } from 'jose';
import jwt from 'jsonwebtoken';
import { type Algorithm, PUBLIC_KEY_ALGORITHMS } from '../../../lib/auth/tokens/algorithms.ts';
import { Jwks } from '../../../lib/auth/tokens/jwks.ts';
import { pemKey } from '../../../lib/auth/tokens/pemKey.ts';
import { createVerifier, type Verify } from '../../../lib/auth/tokens/verifier.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { SECRET } from '../../support/tokens.ts';
import { refusedUrl, sendJson, startUpstream } from '../../support/upstreams/upstream.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
const NOW_SECONDS = NOW_MS / 1000;

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const rsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherRsa: Pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519: Pair = generateKeyPairSync('ed25519');
const curves: Record<string, Pair> = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
};
const pairFor = (alg: string): Pair => curves[alg] ?? (alg.startsWith('Ed') ? ed25519 : rsa);
const pemOf = ({ publicKey }: Pair) => publicKey.export({ type: 'spki', format: 'pem' }).toString();

interface Made {
  readonly alg?: string;
  readonly kid?: string;
  readonly key?: KeyObject | Uint8Array;
  readonly claims?: Record<string, unknown>;
}

/** A token good for an hour, unless `claims` say otherwise; undefined leaves a claim out. */
function made({
  alg = 'RS256',
  kid,
  key = pairFor(alg).privateKey,
  claims = {},
}: Made = {}): Promise<string> {
  const all = { sub: 'ann', iat: NOW_SECONDS, exp: NOW_SECONDS + 3600, ...claims };
  return new SignJWT(JSON.parse(JSON.stringify(all)))
    .setProtectedHeader({ alg, ...(kid && { kid }) })
    .sign(key);
}

async function codeOf(verify: Verify, token: string): Promise<string> {
  try {
    return (await verify(token)).subject;
  } catch (error) {
    return String((error as { code?: string }).code);
  }
}

describe('a key in PEM', () => {
  const clock = new ManualClock(NOW_MS);
  const verifierFor = (pair: Pair, algorithms: readonly Algorithm[], more: object = {}) =>
    createVerifier({ findKeys: pemKey({ pem: pemOf(pair), algorithms }), algorithms, clock, ...more });

  it.each(PUBLIC_KEY_ALGORITHMS)('accepts %s, whatever kid its token names', async (alg) => {
    const verify = verifierFor(pairFor(alg), [alg]);
    expect(await codeOf(verify, await made({ alg }))).toBe('ann');
    expect(await codeOf(verify, await made({ alg, kid: 'any' }))).toBe('ann');
  });

  it('tells what a verified token says', async () => {
    const claims = { jti: 'the-one', iat: NOW_SECONDS - 5, exp: NOW_SECONDS + 60 };
    const verify = verifierFor(rsa, ['RS256'], { clockToleranceMs: 2_000 });
    expect(await verify(await made({ claims }))).toMatchObject({
      subject: 'ann',
      jti: 'the-one',
      issuedAtMs: NOW_MS - 5_000,
      expiresAtMs: NOW_MS + 60_000,
      acceptedUntilMs: NOW_MS + 62_000,
    });
  });

  const both = verifierFor(rsa, ['HS256', 'RS256'], { secret: SECRET });
  const pem = pemOf(rsa);
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' });
  const swapped = async () => {
    const [mine, theirs] = [await made(), await made({ claims: { sub: 'bob' } })].map((text) =>
      text.split('.'),
    );
    return [mine?.[0], mine?.[1], theirs?.[2]].join('.');
  };
  const unsigned = (alg: string) =>
    `${[{ alg }, { sub: 'ann', exp: NOW_SECONDS + 60 }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;

  it.each<[string, string, () => Promise<string> | string]>([
    ['RS256', 'ann', () => made()],
    ['HS256 beside it', 'ann', () => jwt.sign({ sub: 'ann', exp: NOW_SECONDS + 60 }, SECRET)],
    ['HS256 made with the public key', 'token_invalid', () => made({ alg: 'HS256', key: Buffer.from(pem) })],
    ['HS256 made with the key in DER', 'token_invalid', () => made({ alg: 'HS256', key: der })],
    [
      'HS256 made with the key, no line end',
      'token_invalid',
      () => made({ alg: 'HS256', key: Buffer.from(pem.trim()) }),
    ],
    ['another key', 'token_invalid', () => made({ key: otherRsa.privateKey })],
    ['RS512, which is not allowed', 'token_invalid', () => made({ alg: 'RS512' })],
    ['ES256, for which there is no key', 'token_invalid', () => made({ alg: 'ES256' })],
    ['the signature of another', 'token_invalid', swapped],
    ['alg none', 'token_invalid', () => unsigned('none')],
    ['alg NONE', 'token_invalid', () => unsigned('NONE')],
    ['no algorithm', 'token_invalid', () => unsigned('')],
    ['an alg of the prototype', 'token_invalid', () => unsigned('constructor')],
    [
      'an extension nobody knows',
      'token_invalid',
      () => made().then((text) => withHeader(text, { alg: 'RS256', crit: ['exp'], exp: 1 })),
    ],
    [
      'a key of its own in its header',
      'token_invalid',
      async () => {
        const jwk = await exportJWK(otherRsa.publicKey);
        const token = new SignJWT({ sub: 'ann', exp: NOW_SECONDS + 60 }).setProtectedHeader({
          alg: 'RS256',
          jwk,
          jku: 'http://evil.test/',
        });
        return token.sign(otherRsa.privateKey);
      },
    ],
    ['an end a second ago', 'token_expired', () => made({ claims: { exp: NOW_SECONDS - 1 } })],
    ['an end half a second ago', 'token_expired', () => made({ claims: { exp: NOW_SECONDS - 0.5 } })],
    ['an end now', 'token_expired', () => made({ claims: { exp: NOW_SECONDS } })],
    ['a beginning in a second', 'token_invalid', () => made({ claims: { nbf: NOW_SECONDS + 1 } })],
    ['no subject', 'token_invalid', () => made({ claims: { sub: undefined } })],
    [
      '3,000 claims',
      'ann',
      () => made({ claims: Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`c${n}`, n])) }),
    ],
    ['a megabyte of claims', 'token_invalid', () => made({ claims: { padding: 'x'.repeat(2 ** 20) } })],
    ['a megabyte of nothing', 'token_invalid', () => `${'x'.repeat(2 ** 20)}.x.x`],
  ])('answers %s with %s', async (_what, out, token) => {
    expect(await codeOf(both, await token())).toBe(out);
  });

  it('never takes the secret for a public key, nor for an HS one of another length', async () => {
    const verify = createVerifier({ secret: SECRET, algorithms: ['HS256'], clock });
    expect(await codeOf(verify, await made())).toBe('token_invalid');
    expect(
      await codeOf(verify, jwt.sign({ sub: 'ann', exp: NOW_SECONDS + 60 }, SECRET, { algorithm: 'HS384' })),
    ).toBe('token_invalid');
  });

  it.each(['RS256', 'ES256', 'EdDSA'] as const)(
    'knows a %s token again whose signature is written another way',
    async (alg) => {
      const verify = verifierFor(pairFor(alg), [alg]);
      const token = await made({ alg });
      const { digest } = await verify(token);
      let accepted = 0;
      for (const other of respelt(token, alg)) {
        expect(other).not.toBe(token);
        const outcome = await Promise.resolve(verify(other)).catch(() => undefined);
        if (outcome) expect(outcome.digest).toBe(digest);
        accepted += outcome ? 1 : 0;
      }
      // Otherwise this test would show nothing.
      expect(accepted).toBeGreaterThan(0);
      expect((await verify(await made({ alg, claims: { sub: 'bob' } }))).digest).not.toBe(digest);
    },
  );

  it('that goes with no algorithm accepted is refused, saying what to do', () => {
    expect(() => pemKey({ pem: pemOf(curves.ES384 as Pair), algorithms: ['RS256', 'ES256'] })).toThrow(
      'The public key goes with ES384, the algorithms accepted are RS256, ES256: set JWT_ALGORITHMS',
    );
  });
});

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** How many values P-256 numbers have (FIPS 186-5). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same token with other spellings of its signature. */
function respelt(token: string, alg: string): string[] {
  const last = BASE64URL.indexOf(token.at(-1) ?? '');
  const spellings = [1, 2, 3].map((bits) => token.slice(0, -1) + BASE64URL[last ^ bits]);
  if (alg !== 'ES256') return spellings;
  const signature = Buffer.from(token.split('.')[2] ?? '', 'base64url');
  const s = BigInt(`0x${signature.subarray(32).toString('hex')}`);
  const negative = Buffer.from((P256_ORDER - s).toString(16).padStart(64, '0'), 'hex');
  const negated = Buffer.concat([signature.subarray(0, 32), negative]).toString('base64url');
  return [...spellings, token.split('.').with(2, negated).join('.')];
}

/** The token with another header and the signature it had. */
function withHeader(token: string, header: object): string {
  return token
    .split('.')
    .with(0, Buffer.from(JSON.stringify(header)).toString('base64url'))
    .join('.');
}

describe.each(['HS256', 'RS256'] as const)('claims of %s tokens', (alg) => {
  const clock = new ManualClock(NOW_MS);
  const keys = { secret: SECRET, findKeys: pemKey({ pem: pemOf(rsa), algorithms: ['RS256'] }) };
  const key = alg === 'HS256' ? Buffer.from(SECRET) : rsa.privateKey;
  const algorithms = ['HS256', 'RS256'] as const;

  it.each([
    ['the right issuer', { issuer: 'us' }, { iss: 'us' }, 'ann'],
    ['another issuer', { issuer: 'us' }, { iss: 'them' }, 'token_invalid'],
    ['no issuer', { issuer: 'us' }, {}, 'token_invalid'],
    ['a list for an issuer', { issuer: 'us' }, { iss: ['us'] }, 'token_invalid'],
    ['the right audience', { audience: ['cab', 'tea'] }, { aud: 'tea' }, 'ann'],
    ['the right audience among others', { audience: ['cab'] }, { aud: ['x', 'cab'] }, 'ann'],
    ['another audience', { audience: ['cab'] }, { aud: 'x' }, 'token_invalid'],
    ['part of the audience', { audience: ['cab'] }, { aud: 'cabs' }, 'token_invalid'],
    ['no audience', { audience: ['cab'] }, {}, 'token_invalid'],
    ['an end within the tolerance', { clockToleranceMs: 2_000 }, { exp: NOW_SECONDS - 1 }, 'ann'],
    ['an end past the tolerance', { clockToleranceMs: 2_000 }, { exp: NOW_SECONDS - 2 }, 'token_expired'],
    ['a beginning within the tolerance', { clockToleranceMs: 2_000 }, { nbf: NOW_SECONDS + 2 }, 'ann'],
    [
      'a beginning past the tolerance',
      { clockToleranceMs: 2_000 },
      { nbf: NOW_SECONDS + 3 },
      'token_invalid',
    ],
    ['the longest life', { maxLifetimeMs: 3_600_000 }, {}, 'ann'],
    ['a longer life', { maxLifetimeMs: 3_599_000 }, {}, 'token_invalid'],
    ['no beginning of life', { maxLifetimeMs: 3_600_000 }, { iat: undefined }, 'token_invalid'],
    [
      'no end of life',
      { maxLifetimeMs: 3_600_000, requireExpiry: false },
      { exp: undefined },
      'token_invalid',
    ],
    ['a beginning of life that is no number', { maxLifetimeMs: 3_600_000 }, { iat: 'now' }, 'token_invalid'],
  ])('with %s', async (_what, options, claims, out) => {
    const verify = createVerifier({ ...keys, algorithms, clock, ...options });
    expect(await codeOf(verify, await made({ alg, key, claims }))).toBe(out);
  });
});

describe('keys at a URL', () => {
  const jwk = async ({ publicKey }: Pair, kid?: string, more: object = {}): Promise<JWK> => ({
    ...(await exportJWK(publicKey)),
    ...(kid && { kid }),
    ...more,
  });

  /** An issuer whose answer the test changes, and a verifier that reads it. */
  async function start(firstAnswer: unknown, more: { url?: string } = {}) {
    const clock = new ManualClock(NOW_MS);
    let answer = firstAnswer;
    const issuer = await startUpstream((_req, res) => {
      if (typeof answer === 'number') res.writeHead(answer).end();
      else if (typeof answer === 'string') res.end(answer);
      else sendJson(res, answer);
    });
    let changes = 0;
    const errors: Error[] = [];
    const jwks = new Jwks({
      url: more.url ?? `${issuer.url.origin}/keys`,
      onKeysChanged: () => {
        changes += 1;
      },
      onError: (error) => void errors.push(error),
      clock,
    });
    const algorithms = ['RS256', 'ES256', 'EdDSA'] as const;
    return {
      clock,
      issuer,
      errors,
      verify: createVerifier({ findKeys: jwks.find, algorithms, clock }),
      publish: (next: unknown) => {
        answer = next;
      },
      changes: () => changes,
      async [Symbol.asyncDispose]() {
        jwks.stop();
        expect(clock.pending).toBe(0);
        await issuer[Symbol.asyncDispose]();
      },
    };
  }

  const newer = otherRsa;
  const signedWith = (pair: Pair, kid?: string) => made({ key: pair.privateKey, ...(kid && { kid }) });

  it('are fetched once and tell tokens apart by kid and algorithm', async () => {
    const keys = [await jwk(rsa, 'a'), await jwk(newer, 'b'), await jwk(ed25519, 'c')];
    await using at = await start({ keys });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('ann');
    expect(await codeOf(at.verify, await signedWith(newer, 'b'))).toBe('ann');
    expect(await codeOf(at.verify, await made({ alg: 'EdDSA', kid: 'c' }))).toBe('ann');
    expect(await codeOf(at.verify, await signedWith(newer, 'a'))).toBe('token_invalid');
    expect(await codeOf(at.verify, await made({ alg: 'RS256', kid: 'c' }))).toBe('token_invalid');
    expect(at.issuer.requests.length).toBeLessThanOrEqual(2);
    expect(at.issuer.requests[0]).toMatchObject({ method: 'GET', target: '/keys' });
  });

  it('may stand alone without a kid', async () => {
    await using at = await start({ keys: [await jwk(rsa)] });
    expect(await codeOf(at.verify, await signedWith(rsa))).toBe('ann');
  });

  it.each([
    ['without a kid', undefined, undefined],
    ['of one kid', 'same', 'same'],
    ['of one kid, and tokens that name none', 'same', undefined],
  ])('are each tried where a token names none of them: two %s', async (_how, kid, named) => {
    await using at = await start({
      keys: [await jwk(rsa, kid), await jwk(newer, kid), await jwk(ed25519, kid)],
    });
    expect(await codeOf(at.verify, await signedWith(rsa, named))).toBe('ann');
    expect(await codeOf(at.verify, await signedWith(newer, named))).toBe('ann');
    expect(await codeOf(at.verify, await made({ alg: 'EdDSA', ...(named && { kid: named }) }))).toBe('ann');
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await expect(at.verify(await signedWith(stranger, named))).rejects.toMatchObject({
      code: 'token_invalid',
      message: 'the signature does not match (the token names none of the 2 keys that fit)',
    });
  });

  it('are tried only where they fit, though another one cannot be used', async () => {
    const broken = { ...(await jwk(newer)), n: 'AQAB' };
    const signs = { ...(await jwk(newer)), key_ops: ['sign'] };
    const encrypts = await jwk(newer, undefined, { use: 'enc' });
    await using at = await start({
      keys: [broken, signs, encrypts, await jwk(rsa), await jwk(curves.ES384 as Pair)],
    });
    expect(await codeOf(at.verify, await signedWith(rsa))).toBe('ann');
    expect(await codeOf(at.verify, await signedWith(newer))).toBe('token_invalid');
  });

  it('are ten for one token at the most: what a bad one costs is bounded', async () => {
    const pairs = Array.from({ length: 12 }, () => generateKeyPairSync('ed25519'));
    await using at = await start({ keys: await Promise.all(pairs.map((pair) => jwk(pair))) });
    const token = (n: number) => made({ alg: 'EdDSA', key: (pairs[n] as Pair).privateKey });
    expect(await codeOf(at.verify, await token(9))).toBe('ann');
    await expect(at.verify(await token(10))).rejects.toThrow(
      'none of more than 10 keys that fit; 10 were tried',
    );
  });

  it('serve only the algorithm and use that they are published for', async () => {
    const keys = [await jwk(rsa, 'a', { alg: 'RS512' }), await jwk(newer, 'b', { use: 'enc' })];
    await using at = await start({ keys });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('token_invalid');
    expect(await codeOf(at.verify, await signedWith(newer, 'b'))).toBe('token_invalid');
  });

  it('that are secrets or private are never used', async () => {
    const secret = { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 's' };
    const leaked = { ...(await exportJWK(rsa.privateKey)), kid: 'p' };
    await using at = await start({ keys: [secret, leaked] });
    expect(await codeOf(at.verify, await made({ alg: 'HS256', key: Buffer.from(SECRET), kid: 's' }))).toBe(
      'token_invalid',
    );
    expect(await codeOf(at.verify, await signedWith(rsa, 'p'))).toBe('token_invalid');
  });

  it('are looked for again when a token names an unknown one, at most once in 30 s', async () => {
    await using at = await start({ keys: [await jwk(rsa, 'a')] });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('ann');
    const rotated = { keys: [await jwk(rsa, 'a'), await jwk(newer, 'b')] };
    at.publish(rotated);
    expect(await codeOf(at.verify, await signedWith(newer, 'b'))).toBe('ann');
    expect(at.issuer.requests).toHaveLength(2);
    for (let n = 0; n < 20; n += 1) {
      expect(await codeOf(at.verify, await signedWith(newer, `invented-${n}`))).toBe('token_invalid');
    }
    expect(at.issuer.requests).toHaveLength(2);
    at.clock.advance(30_000);
    expect(await codeOf(at.verify, await signedWith(newer, 'invented'))).toBe('token_invalid');
    expect(at.issuer.requests).toHaveLength(3);
    expect(at.changes()).toBe(1);
  });

  it('that are gone from the URL are given up within five minutes, and everybody is told', async () => {
    await using at = await start({ keys: [await jwk(rsa, 'a'), await jwk(newer, 'b')] });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('ann');
    at.publish({ keys: [await jwk(newer, 'b')] });
    await eventually('the next look is planned', () => at.clock.pending === 1);
    at.clock.advance(5 * 60_000);
    await eventually('it is noticed', () => at.changes() === 1);
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('token_invalid');
    expect(await codeOf(at.verify, await signedWith(newer, 'b'))).toBe('ann');
  });

  it.each([
    ['an error', 500],
    ['nonsense', 'nonsense'],
    ['no keys', { keys: [] }],
    ['something else', { hello: 'world' }],
    ['more than 1 MiB', `${' '.repeat(2 ** 20)}{"keys":[{"kty":"RSA"}]}`],
  ])('serve on while the URL answers %s; who needs another one gets 503', async (_what, answer) => {
    await using at = await start({ keys: [await jwk(rsa, 'a')] });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('ann');
    at.publish(answer);
    at.clock.advance(5 * 60_000);
    await eventually('it fails', () => at.errors.length === 1);
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('ann');
    expect(await codeOf(at.verify, await signedWith(newer, 'b'))).toBe('keys_unavailable');
    expect(at.changes()).toBe(0);
    at.publish({ keys: [await jwk(rsa, 'a'), await jwk(newer, 'b')] });
    await eventually('the next look is planned', () => at.clock.pending === 1);
    at.clock.advance(30_000);
    await eventually(
      'it is back',
      async () => (await codeOf(at.verify, await signedWith(newer, 'b'))) === 'ann',
    );
  });

  it('that nobody knows yet mean 503, not 401, until the URL is up', async () => {
    await using at = await start(503);
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('keys_unavailable');
    const asked = at.issuer.requests.length;
    for (let n = 0; n < 20; n += 1) {
      expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('keys_unavailable');
    }
    expect(at.issuer.requests).toHaveLength(asked);
    at.publish({ keys: [await jwk(rsa, 'a')] });
    at.clock.advance(1_000);
    await eventually('it is up', async () => (await codeOf(at.verify, await signedWith(rsa, 'a'))) === 'ann');
    expect(at.changes()).toBe(0);
  });

  it('at a URL where nobody listens mean 503 too', async () => {
    await using at = await start(200, { url: `${refusedUrl().origin}/keys` });
    expect(await codeOf(at.verify, await signedWith(rsa, 'a'))).toBe('keys_unavailable');
    expect(Error.isError(at.errors[0]?.cause)).toBe(true);
  });

  it('are waited for while they are on their way at the start', async () => {
    const asked = deferred();
    const answered = deferred();
    const keys = [await jwk(rsa, 'a')];
    await using issuer = await startUpstream(async (_req, res) => {
      asked.resolve();
      await answered.promise;
      sendJson(res, { keys });
    });
    const clock = new ManualClock(NOW_MS);
    const jwks = new Jwks({ url: issuer.url.href, clock });
    const verify = createVerifier({ findKeys: jwks.find, algorithms: ['RS256'], clock });
    const outcome = codeOf(verify, await signedWith(rsa, 'a'));
    await asked.promise;
    answered.resolve();
    expect(await outcome).toBe('ann');
    jwks.stop();
  });
});
