import { describe, expect, it } from '@jest/globals';
import type { TokenError } from '../../../lib/auth/errors.ts';
import { Revocations } from '../../../lib/auth/revocation/revocations.ts';
import {
  createVerifier,
  type VerifiedToken,
  type VerifierOptions,
} from '../../../lib/auth/tokens/verifier.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryTokens } from '../../support/stores/memoryStore.ts';
import { authParts, HOUR_MS, SECRET, sign, signText } from '../../support/tokens.ts';

const NOW_SECONDS = Date.UTC(2026, 0, 15, 12) / 1000;
const clock = new ManualClock(NOW_SECONDS * 1000);

function verifierOf(options: Partial<VerifierOptions> = {}): (token: string) => VerifiedToken {
  const verify = createVerifier({
    secret: SECRET,
    algorithms: ['HS256'],
    subjectClaims: ['sub', 'uuid', 'user_id'],
    clock,
    ...options,
  });
  return (token) => verify(token) as VerifiedToken;
}

const verify = verifierOf();

/** A token good for an hour with these members beside, as they are written. */
const withMembers = (members: string) => signText(`{${members},"exp":${NOW_SECONDS + 3600}}`);

/** Why a token is refused, or whom it speaks for. */
function verdict(token: string, check = verify): string {
  try {
    return check(token).key;
  } catch (error) {
    const { code, message } = error as TokenError;
    return `${code}: ${message}`;
  }
}

describe('who a token speaks for', () => {
  it.each([
    ['"sub":"ann"', 'nobody sub string:ann', 'ann'],
    ['"sub":"42"', 'nobody sub string:42', '42'],
    ['"sub":42', 'nobody sub number:42', '42'],
    ['"sub":0', 'nobody sub number:0', '0'],
    ['"sub":-7', 'nobody sub number:-7', '-7'],
    ['"sub":9007199254740991', 'nobody sub number:9007199254740991', '9007199254740991'],
    ['"user_id":42', 'nobody user_id number:42', '42'],
    ['"user_id":42,"uuid":"u-1"', 'nobody uuid string:u-1', 'u-1'],
    ['"user_id":42,"uuid":"u-1","sub":"ann"', 'nobody sub string:ann', 'ann'],
    ['"sub":"ann","uuid":{"odd":1}', 'nobody sub string:ann', 'ann'],
    ['"iss":"us","sub":"ann"', 'iss:us sub string:ann', 'ann'],
    ['"s\\u0075b":"ann"', 'nobody sub string:ann', 'ann'],
  ])('of %s is %s', (members, key, subject) => {
    expect(verify(withMembers(members))).toMatchObject({ key, subject });
  });

  it('is never somebody else by another claim, type or issuer', () => {
    const tokens = [
      '"sub":"42"',
      '"sub":42',
      '"user_id":42',
      '"user_id":"42"',
      '"uuid":"42"',
      '"iss":"us","sub":"42"',
    ];
    // A subject that is spelt like the key of another.
    tokens.push(String.raw`"sub":"42\"]"`, String.raw`"iss":"us\",\"sub","sub":"42"`);
    const keys = tokens.map((members) => verify(withMembers(members)).key);
    expect(new Set(keys).size).toBe(tokens.length);
  });

  it('is told in 256 characters at most that need no quotes, however long the names are', () => {
    const long = (end: string) => `"iss":"${'i'.repeat(1_000)}","sub":"${'\u00fc'.repeat(900)}${end}"`;
    const keys = ['a', 'b'].map((end) => verify(withMembers(long(end))).key);
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key).toMatch(/^[ !#-[\]-~]{1,256}$/);
  });

  it.each([
    ['a number that a double does not hold', '"sub":1234567890123456789'],
    ['the number after the last that it holds', '"sub":9007199254740992'],
    ['a fraction that it rounds to a whole number', '"sub":9007199254740991.4'],
    ['a fraction', '"sub":1.5'],
    ['a whole number with a fraction of nothing', '"sub":1.0'],
    ['an exponent', '"sub":1e3'],
    ['minus zero', '"sub":-0'],
    ['more than any number', '"sub":1e999'],
    ['an empty string', '"sub":""'],
    ['half a character', '"sub":"\\ud800"'],
    ['1,025 characters', `"sub":"${'x'.repeat(1025)}"`],
    ['null', '"sub":null'],
    ['true', '"sub":true'],
    ['a list', '"sub":["ann"]'],
    ['an object', '"sub":{}'],
    ['an issuer that is no text', '"iss":{"a":1},"sub":"ann"'],
    ['an issuer of 1,025 characters', `"iss":"${'x'.repeat(1025)}","sub":"ann"`],
    ['none of the claims', '"email":"ann@example.test"'],
    ['the prototype', '"__proto__":{"sub":"ann"}'],
    ['the same claim twice', '"sub":"ann","sub":"bob"'],
    ['the same claim twice, spelt otherwise', '"sub":"ann","s\\u0075b":"bob"'],
    ['any claim twice', '"sub":"ann","role":"user","role":"admin"'],
    ['a jti that is no text', '"sub":"ann","jti":{}'],
    ['a jti of 1,025 characters', `"sub":"ann","jti":"${'x'.repeat(1025)}"`],
  ])('is nobody with %s', (_what, members) => {
    expect(verdict(withMembers(members))).toMatch(/^token_invalid: /);
  });

  it('is nobody when the first claim is wrong, whatever the next one says', () => {
    expect(verdict(withMembers('"sub":"","uuid":"ann"'))).toMatch(/^token_invalid: sub is ""/);
    expect(verdict(withMembers('"sub":null,"uuid":"ann"'))).toMatch(/^token_invalid: sub is null/);
  });

  it('is nobody when the payload is not UTF-8', () => {
    const payload = Buffer.from(`{"sub":"a?","exp":${NOW_SECONDS + 60}}`);
    payload[payload.indexOf('?')] = 0xff;
    expect(verdict(signText(payload))).toBe('token_invalid: the payload is not JSON in UTF-8');
  });

  it.each(['null', '5', '"a"', '[]', '{', ''])(
    'is nobody when the payload is %j, which no message quotes',
    (payload) => {
      expect(verdict(signText(payload))).toMatch(
        /^token_invalid: (?:the payload is not a JSON object|not a JWT: (?:its payload is not a JSON object|[a-z ]+))$/,
      );
    },
  );

  it('stays who it is with claims that look like others', () => {
    const members = String.raw`"sub":"ann","a\"b":"{","c":{"sub":"bob","x":[{"sub":1}]},"d":[],"e":{},"\\":"\\\""`;
    expect(verify(withMembers(members)).subject).toBe('ann');
  });

  it('of 1,024 characters is as good as any', () => {
    expect(verify(withMembers(`"sub":"${'x'.repeat(1024)}"`)).subject).toHaveLength(1024);
  });
});

describe('a token', () => {
  const MAX = 253402300799;
  it.each([
    ['a minute to live', `"exp":${NOW_SECONDS + 60}`, /^nobody sub /],
    ['an end in the year 9999', `"exp":${MAX}`, /^nobody sub /],
    ['no end', '"a":1', /^token_invalid: exp is missing$/],
    ['an end that is no number', '"exp":"never"', /^token_invalid: exp is "never"/],
    ['an end that is null', '"exp":null', /^token_invalid: exp is null/],
    ['an end before 1970', '"exp":-1', /^token_invalid: exp is -1/],
    ['an end in milliseconds', `"exp":${NOW_SECONDS * 1000}`, /^token_invalid: exp is \d+: .*year 9999/],
    ['an end beyond everything', '"exp":1e300', /^token_invalid: exp is 1e300/],
    ['an end that is infinite', '"exp":1e999', /^token_invalid: exp is 1e999/],
    ['a beginning that is no number', `"exp":${MAX},"nbf":"now"`, /^token_invalid: nbf is "now"/],
    ['a beginning that is a list', `"exp":${MAX},"nbf":[1]`, /^token_invalid: nbf is \[1\]/],
    ['an issue that is no number', `"exp":${MAX},"iat":"now"`, /^token_invalid: iat is "now"/],
    ['an issue before 1970', `"exp":${MAX},"iat":-1`, /^token_invalid: iat is -1/],
  ])('with %s', (_what, members, out) => {
    expect(verdict(signText(`{"sub":"ann",${members}}`))).toMatch(out);
  });

  it.each([
    ['an end three seconds ago', { exp: NOW_SECONDS - 3 }, /^nobody sub /],
    ['an end five seconds ago', { exp: NOW_SECONDS - 5 }, /^token_expired: the token expired 5 s ago/],
    ['a beginning in a second', { nbf: NOW_SECONDS + 1 }, /^nobody sub /],
    ['a beginning in six seconds', { nbf: NOW_SECONDS + 6 }, /^token_invalid: .* not valid for another 6 s/],
  ])('with %s, where clocks may differ by 5 s', (_what, claims, out) => {
    const tolerant = verifierOf({ clockToleranceMs: 5_000 });
    expect(verdict(sign(clock, claims), tolerant)).toMatch(out);
  });

  it.each([
    ['type', '"type":"refresh"', false],
    ['type in capitals', '"type":"REFRESH"', false],
    ['token_type', '"token_type":"refresh"', false],
    ['typ', '"typ":"Refresh"', false],
    ['access', '"type":"access","token_type":"bearer","typ":"Bearer"', true],
    ['two words', '"type":"refresh_token"', false],
    ['two words run together', '"token_type":"RefreshToken"', false],
    ['blanks around it', '"type":" refresh\\t"', false],
    ['escapes of JSON', '"type":"\\u0072efresh"', false],
    ['an array', '"type":["refresh"]', false],
    ['an array with others', '"type":["access","Refresh-Token",1]', false],
    ['token_use', '"token_use":"refresh"', false],
    ['tokenType', '"tokenType":"Refresh"', false],
    ['another word', '"type":"refreshed"', true],
    ['nothing', '"type":""', true],
    ['an empty array', '"type":[]', true],
    ['an array within an array', '"type":[["refresh"]]', true],
    ['a number', '"type":1', true],
    ['null', '"type":null', true],
    ['true', '"type":true', true],
    ['an object', '"type":{"refresh":true}', true],
    ['a name in capitals', '"Type":"refresh"', true],
  ])('that says what kind it is by %s', (_how, members, accepted) => {
    const out = verdict(withMembers(`"sub":"ann",${members}`));
    expect(out).toMatch(accepted ? /^nobody sub / : /^token_invalid: \w+ is .+: a refresh token/);
  });

  it.each(['refresh+jwt', 'application/refresh+jwt', 'RT+JWT', 'refresh', 'rt', 'logout+jwt', 'dpop+jwt'])(
    'of typ %s is no access token',
    (typ) => {
      const token = signText(`{"sub":"ann","exp":${NOW_SECONDS + 60}}`, { alg: 'HS256', typ });
      expect(verdict(token)).toMatch(/^token_invalid: typ is/);
    },
  );

  it.each(['JWT', 'at+jwt', 'application/at+jwt', 'jose', 'Bearer'])('of typ %s is one', (typ) => {
    const token = signText(`{"sub":"ann","exp":${NOW_SECONDS + 60}}`, { alg: 'HS256', typ });
    expect(verdict(token)).toBe('nobody sub string:ann');
  });

  it.each([
    ['b64', { alg: 'HS256', b64: false, crit: ['b64'] }],
    ['b64 that nobody must understand', { alg: 'HS256', b64: false }],
    ['crit', { alg: 'HS256', crit: ['exp'] }],
    ['crit of nothing', { alg: 'HS256', crit: [] }],
  ])('whose header asks for %s is refused', (_what, header) => {
    const token = signText(`{"sub":"ann","exp":${NOW_SECONDS + 60}}`, header);
    expect(verdict(token)).toMatch(/^token_invalid: .*extension/);
  });

  it('is refused by its length before anybody reads it', () => {
    const padded = withMembers(`"sub":"ann","padding":"${'x'.repeat(65_536)}"`);
    expect(verdict(padded)).toMatch(/^token_invalid: the token has \d+ characters, more than 65536$/);
  });

  it('of many nested lists or claims takes time in proportion to its length', () => {
    const deep = 20_000;
    const nested = withMembers(`"sub":"ann","x":${'['.repeat(deep)}${']'.repeat(deep)}`);
    expect(verdict(nested)).toBe('nobody sub string:ann');
    const costOf = (members: number) => {
      const token = withMembers(
        `"sub":"ann",${Array.from({ length: members }, (_, n) => `"c${n}":${n}`).join(',')}`,
      );
      const best = Array.from({ length: 9 }, () => {
        const before = performance.now();
        verify(token);
        return performance.now() - before;
      });
      return Math.min(...best);
    };
    costOf(300);
    // Quadratic work would take a hundred times as long.
    const ratios = [1, 2, 3].map(() => costOf(3_000) / costOf(300));
    expect(Math.min(...ratios)).toBeLessThan(40);
  });

  it('never takes a public key for the secret', () => {
    const pem = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----`;
    expect(() => createVerifier({ secret: pem, algorithms: ['HS256'] })).toThrow(
      'the secret is a public key',
    );
  });
});

describe('why a token is refused', () => {
  const strict = verifierOf({ issuer: 'us', audience: ['cab', 'tea'] });
  it.each([
    ['garbage', 'not a JWT: it does not have three parts'],
    ['a.b.c', 'not a JWT: its header is not a JSON object in base64url'],
    [signText('{}', {}), 'not a JWT that can be checked: its header names no algorithm'],
    [signText('{}', { alg: 'HS256', kid: 1 }), 'kid is not a string'],
    [signText('{}', { alg: 'none' }), 'alg is "none"; expected HS256'],
    [
      signText('{}', { alg: 'x'.repeat(200) }),
      `alg is "${'x'.repeat(64)}... (200 characters)"; expected HS256`,
    ],
    [`${sign(clock)}x`, 'the signature does not match'],
    [signText('[]'), 'the payload is not a JSON object'],
    [sign(clock), 'iss is missing; expected "us"'],
    [sign(clock, { iss: 'them' }), 'iss is "them"; expected "us"'],
    [sign(clock, { iss: 'us', aud: ['x'] }), 'aud is ["x"]; expected "cab" or "tea"'],
    [
      sign(clock, { iss: 'us', aud: 'tea', sub: undefined }),
      'the token names nobody: it has none of the claims sub, uuid, user_id',
    ],
  ])('is said exactly: %#', (token, message) => {
    expect(verdict(token, strict)).toBe(`token_invalid: ${message}`);
  });

  it('never quotes more than an excerpt', () => {
    expect(verdict(sign(clock, { iss: 'x'.repeat(1000) }), strict)).toHaveLength(
      `token_invalid: iss is "${'x'.repeat(63)}... (1002 characters); expected "us"`.length,
    );
  });
});

describe('a revocation by subject', () => {
  const tokenOf = (members: string) => verify(withMembers(members));

  it.each([
    ['a text', '"sub":"42"', '42'],
    ['a number', '"sub":42', '42'],
    ['another claim', '"user_id":42', '42'],
    ['a claim that is not the one that counts', '"sub":"ann","user_id":42', '42'],
    [
      'a number that no double holds, there',
      '"sub":"ann","user_id":1234567890123456789',
      '1234567890123456789',
    ],
    ['1,024 characters', `"sub":"${'x'.repeat(1024)}"`, 'x'.repeat(1024)],
  ])('covers it as %s', async (_how, members, subject) => {
    const revocations = new Revocations({ store: memoryTokens(clock), clock });
    await revocations.add({ kind: 'subject', subject, issuedBeforeMs: clock.now() });
    expect(await revocations.coverOf(tokenOf(members))).toBe('subject');
    expect(await revocations.coverOf(tokenOf('"sub":"bob","user_id":43'))).toBe(false);
  });

  it('by jti covers a number that no double holds, and no other', async () => {
    const revocations = new Revocations({ store: memoryTokens(clock), clock });
    await revocations.add({ kind: 'jti', jti: '1234567890123456788' });
    expect(await revocations.coverOf(tokenOf('"sub":"ann","jti":1234567890123456788'))).toBe('jti');
    expect(await revocations.coverOf(tokenOf('"sub":"ann","jti":1234567890123456789'))).toBe(false);
  });

  it('outlives the last token by the clock tolerance', async () => {
    const toleranceMs = 30 * 60_000;
    const store = memoryTokens(clock);
    const revocations = new Revocations({
      store,
      maxLifetimeMs: HOUR_MS,
      clockToleranceMs: toleranceMs,
      clock,
    });
    const nowMs = clock.now();
    const byId = await revocations.add({ kind: 'jti', jti: 'a' });
    const bySubject = await revocations.add({ kind: 'subject', subject: 'ann', issuedBeforeMs: nowMs });
    for (const { expiresAtMs } of [byId, bySubject]) {
      expect(expiresAtMs).toBeGreaterThanOrEqual(nowMs + HOUR_MS + toleranceMs);
    }
  });
});

it('a token without an end that an operator revoked stays so for good', async () => {
  const parts = authParts({ requireExpiry: false });
  const token = sign(parts.clock, { exp: undefined });
  await parts.revocations.add({ kind: 'token', token: await parts.authenticator.authenticate(token) });
  parts.clock.advance(500 * 365 * 24 * HOUR_MS);
  await parts.revocations.list();
  await expect(parts.authenticator.authenticate(token)).rejects.toMatchObject({
    code: 'token_revoked',
    message: 'the token was revoked by an operator, by itself',
  });
});
