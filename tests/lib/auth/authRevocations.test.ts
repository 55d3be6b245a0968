import { describe, expect, it } from '@jest/globals';
import { Revocations } from '../../../lib/auth/revocation/revocations.ts';
import type { VerifiedToken } from '../../../lib/auth/tokens/verifier.ts';
import { StoreUnavailableError } from '../../../lib/store/store.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryTokens } from '../../support/stores/memoryStore.ts';
import { authParts, HOUR_MS, sign } from '../../support/tokens.ts';

const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.UTC(2026, 0, 15, 12);

function token(parts: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    names: [parts.subject ?? 'ann'],
    token: 'a.b.c',
    digest: 'digest',
    subject: 'ann',
    key: 'ann',
    claims: '',
    jti: undefined,
    issuedAtMs: NOW_MS - 1_000,
    expiresAtMs: NOW_MS + HOUR_MS,
    acceptedUntilMs: NOW_MS + HOUR_MS,
    ...parts,
  };
}

function setUp(maxLifetimeMs?: number) {
  const clock = new ManualClock(NOW_MS);
  const store = memoryTokens(clock);
  return { clock, store, revocations: new Revocations({ store, maxLifetimeMs, clock }) };
}

describe('a revocation by subject', () => {
  it.each([
    { name: 'issued a second before', parts: { issuedAtMs: NOW_MS - 1_000 }, covered: true },
    { name: 'issued at that very moment', parts: { issuedAtMs: NOW_MS }, covered: true },
    { name: 'issued a second later', parts: { issuedAtMs: NOW_MS + 1_000 }, covered: false },
    { name: 'that does not say when', parts: { issuedAtMs: undefined }, covered: true },
    { name: 'of somebody else', parts: { subject: 'bob' }, covered: false },
    {
      name: 'of somebody else that does not say when',
      parts: { subject: 'bob', issuedAtMs: undefined },
      covered: false,
    },
    { name: 'of somebody whose name is the same in another case', parts: { subject: 'Ann' }, covered: false },
  ])('covers a token $name: $covered', async ({ parts, covered }) => {
    const { revocations } = setUp();
    await revocations.add({ kind: 'subject', subject: 'ann', issuedBeforeMs: NOW_MS });
    expect(await revocations.coverOf(token(parts))).toBe(covered && 'subject');
    expect(revocations.knownCover(token(parts))).toBe(covered && 'subject');
  });

  it('covers a token issued within the same second: iat knows no less', async () => {
    const { revocations } = setUp();
    await revocations.add({ kind: 'subject', subject: 'ann', issuedBeforeMs: NOW_MS + 400 });
    expect(await revocations.coverOf(token({ issuedAtMs: NOW_MS }))).toBe('subject');
  });

  it('of the prototype covers nobody', async () => {
    const { revocations } = setUp();
    await revocations.add({ kind: 'subject', subject: '__proto__', issuedBeforeMs: NOW_MS });
    expect(await revocations.coverOf(token({ subject: 'constructor' }))).toBe(false);
    expect(await revocations.coverOf(token({ subject: '__proto__' }))).toBe('subject');
  });
});

describe('revocations', () => {
  it('by jti cover no token without one', async () => {
    const { revocations } = setUp();
    await revocations.add({ kind: 'jti', jti: 'undefined' });
    expect(await revocations.coverOf(token())).toBe(false);
    expect(await revocations.coverOf(token({ jti: 'undefined' }))).toBe('jti');
  });

  it('are not known until they were read once, and again after each change', async () => {
    const { revocations } = setUp();
    expect(revocations.knownCover(token())).toBeUndefined();
    await revocations.coverOf(token());
    expect(revocations.knownCover(token())).toBe(false);
    const { id } = await revocations.add({ kind: 'token', token: token() });
    expect(revocations.knownCover(token())).toBeUndefined();
    expect(await revocations.coverOf(token())).toBe('token');
    await revocations.remove(id);
    expect(await revocations.coverOf(token())).toBe(false);
  });

  it.each([
    { name: 'a token, as long as it is accepted', add: { kind: 'token', token: token() }, lastsMs: HOUR_MS },
    { name: 'a jti, as long as a token may live', add: { kind: 'jti', jti: 'a' }, lastsMs: 2 * HOUR_MS },
    {
      name: 'a subject, as long as the last token may live',
      add: { kind: 'subject', subject: 'ann', issuedBeforeMs: NOW_MS - HOUR_MS },
      lastsMs: HOUR_MS,
    },
  ] as const)('last, for $name, and a day for clocks that are wrong', async ({ add, lastsMs }) => {
    const { clock, revocations, store } = setUp(2 * HOUR_MS);
    expect(await revocations.add(add)).toMatchObject({ expiresAtMs: NOW_MS + lastsMs + DAY_MS });
    clock.advance(lastsMs + DAY_MS - 1);
    expect(await revocations.list()).toHaveLength(1);
    clock.advance(1);
    expect(await revocations.list()).toEqual([]);
    expect(await store.getGroup('revocations')).toEqual([]);
  });

  it('last for years where tokens may live for ever', async () => {
    const { clock, revocations } = setUp();
    const endless = token({
      expiresAtMs: Number.POSITIVE_INFINITY,
      acceptedUntilMs: Number.POSITIVE_INFINITY,
    });
    await revocations.add({ kind: 'token', token: endless });
    await revocations.add({ kind: 'jti', jti: 'a' });
    clock.advance(9 * 365 * 24 * HOUR_MS);
    expect(await revocations.list()).toHaveLength(2);
  });

  it('are not more than every gateway can keep', async () => {
    const { clock, revocations, store } = setUp();
    const lasting = { kind: 'jti', jti: 'a', createdAtMs: NOW_MS, expiresAtMs: NOW_MS + HOUR_MS };
    for (let n = 0; n < 9_999; n += 1) {
      const id = String(n);
      await store.putInGroup('revocations', id, JSON.stringify({ ...lasting, id }));
    }
    await revocations.add({ kind: 'jti', jti: 'the last' });
    const oneMore = () => revocations.add({ kind: 'jti', jti: 'one more' });
    await expect(oneMore()).rejects.toMatchObject({ code: 'too_many_revocations' });
    clock.advance(HOUR_MS);
    await oneMore();
    expect(await revocations.list()).toMatchObject([{ jti: 'one more' }, { jti: 'the last' }]);
    // Two looks at the list have cleared away a hundred each.
    expect(await store.getGroup('revocations')).toHaveLength(10_001 - 200);
  });

  it.each(['nonsense', '{}', '{"kind":"everybody"}'])(
    'that cannot be read let nobody in: %s',
    async (entry) => {
      const { revocations, store } = setUp();
      await store.putInGroup('revocations', 'x', entry);
      await expect(revocations.coverOf(token())).rejects.toBeInstanceOf(StoreUnavailableError);
      expect(revocations.knownCover(token())).toBeUndefined();
    },
  );
});

describe('Authenticator', () => {
  it('refuses what was revoked by subject, hot or not, and lets in again what was taken back', async () => {
    const parts = authParts();
    const bearing = sign(parts.clock);
    const attempt = () => parts.authenticator.authenticate(bearing);
    await attempt();
    expect(parts.authenticator.authenticateNow(bearing)).toMatchObject({ subject: 'alice' });
    const issuedBeforeMs = parts.clock.now();
    const { id } = await parts.revocations.add({ kind: 'subject', subject: 'alice', issuedBeforeMs });
    await expect(attempt()).rejects.toMatchObject({ code: 'token_revoked' });
    expect(() => parts.authenticator.authenticateNow(bearing)).toThrow('the token was revoked');
    await parts.revocations.remove(id);
    await expect(attempt()).resolves.toMatchObject({ subject: 'alice' });
    expect(parts.verified).toEqual([bearing]);
  });

  it.each([
    { by: 'jti', revocation: () => ({ kind: 'jti', jti: 'one' }) as const },
    {
      by: 'subject',
      revocation: (now: number) => ({ kind: 'subject', subject: 'alice', issuedBeforeMs: now }) as const,
    },
  ])('says to operators that a token was revoked by its $by', async ({ by, revocation }) => {
    const parts = authParts();
    await parts.revocations.add(revocation(parts.clock.now()));
    await expect(parts.authenticator.authenticate(sign(parts.clock, { jti: 'one' }))).rejects.toThrow(
      `the token was revoked by an operator, by its ${by}`,
    );
  });

  it('verifies every token again once other keys are in force', async () => {
    const parts = authParts();
    const bearing = sign(parts.clock);
    await parts.authenticator.authenticate(bearing);
    parts.authenticator.forgetVerified();
    expect(parts.authenticator.authenticateNow(bearing)).toBeUndefined();
    await parts.authenticator.authenticate(bearing);
    expect(parts.verified).toEqual([bearing, bearing]);
  });

  it('keeps its memory bounded, whatever the length of tokens', async () => {
    const parts = authParts();
    for (let n = 0; n < 2_500; n += 1) {
      await parts.authenticator.authenticate(sign(parts.clock, { n, padding: 'x'.repeat(10_000) }));
      await parts.store.delete(`token:${parts.verified[n]}`);
    }
    // So many tokens of 14 kB are 35 MB, of which the first have left.
    expect(parts.authenticator.authenticateNow(parts.verified[0] as string)).toBeUndefined();
    expect(parts.authenticator.authenticateNow(parts.verified.at(-1) as string)).toBeDefined();
  });
});
