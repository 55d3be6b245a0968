import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { StoreUnavailableError } from '../../../lib/store/store.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { failingTokens, memoryTokens } from '../../support/stores/memoryStore.ts';
import { ACTIVE_TTL_MS, type AuthParts, authParts, HOUR_MS, sign, signText } from '../../support/tokens.ts';

async function outcome({ authenticator }: AuthParts, token: string): Promise<string> {
  try {
    return (await authenticator.authenticate(token)).subject;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

async function revoke({ authenticator }: AuthParts, token: string): Promise<void> {
  await authenticator.revoke(await authenticator.authenticate(token));
}

describe('Authenticator', () => {
  it('accepts a valid token that nobody has seen, and stores it as active', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    expect(await outcome(parts, token)).toBe('alice');
    await turn();
    const stored = JSON.parse(String(await parts.store.get(`token:${token}`)));
    expect(stored).toEqual({ sub: 'alice', exp: Math.floor(parts.clock.now() / 1000) + 3600 });
  });

  it('verifies the signature of a token once', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    for (let i = 0; i < 5; i += 1) await parts.authenticator.authenticate(token);
    expect(parts.verified).toEqual([token]);
  });

  it('remembers no token that was wrong', async () => {
    const parts = authParts();
    for (let i = 0; i < 3; i += 1) expect(await outcome(parts, 'garbage')).toBe('token_invalid');
    expect(parts.verified).toHaveLength(3);
  });

  it('does not accept a remembered token past its expiry', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    expect(await outcome(parts, token)).toBe('alice');
    parts.clock.advance(HOUR_MS + 1_000);
    expect(await outcome(parts, token)).toBe('token_expired');
  });

  it('refuses a token once it is revoked', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    await revoke(parts, token);
    expect(await outcome(parts, token)).toBe('token_revoked');
  });

  it('refuses it on every gateway that shares the store', async () => {
    const clock = new ManualClock();
    const store = memoryTokens(clock);
    const [here, there] = [authParts({ clock, store }), authParts({ clock, store })];
    const token = sign(clock);
    expect(await outcome(there, token)).toBe('alice');
    await revoke(here, token);
    expect(await outcome(there, token)).toBe('token_revoked');
  });

  it('refuses the revoked token only', async () => {
    const parts = authParts();
    const [first, second] = [sign(parts.clock), sign(parts.clock, { jti: 'second' })];
    await revoke(parts, first);
    expect(await outcome(parts, second)).toBe('alice');
  });

  it('remembers a revocation until the very end of the token, fractions included', async () => {
    const parts = authParts();
    const endsMs = parts.clock.now() + 10_700;
    const token = sign(parts.clock, { exp: endsMs / 1000 });
    await revoke(parts, token);
    for (let i = 0; i < 12; i += 1) {
      expect(await outcome(parts, token)).not.toBe('alice');
      parts.clock.advance(1_000);
    }
    expect(await outcome(parts, token)).toBe('token_expired');
  });

  it('revokes a token that never expires for good', async () => {
    const parts = authParts({ requireExpiry: false });
    const token = sign(parts.clock, { exp: undefined });
    await revoke(parts, token);
    parts.clock.advance(500 * 365 * 24 * HOUR_MS);
    expect(await outcome(parts, token)).toBe('token_revoked');
  });

  it('names a revoked token in the store by its digest alone', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    await revoke(parts, token);
    const digest = createHash('sha256').update(token).digest('hex');
    expect(await parts.store.get(`blacklist:${digest}`)).toBeDefined();
    expect(await parts.store.get(`token:${token}`)).toBeUndefined();
  });

  it('admits a token that a service has just issued', async () => {
    const parts = authParts({ requireActive: true });
    const token = sign(parts.clock);
    await parts.authenticator.admit(token, parts.clock.now());
    expect(await outcome(parts, token)).toBe('alice');
    expect(parts.verified).toEqual([token]);
  });

  it('admits no token that was revoked', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    await revoke(parts, token);
    await expect(parts.authenticator.admit(token, parts.clock.now())).rejects.toMatchObject({
      message: 'the token was logged out',
    });
    expect(await parts.store.get(`token:${token}`)).toBeUndefined();
  });

  it('admits no refresh token as an access token', async () => {
    const parts = authParts();
    const token = sign(parts.clock, { type: 'refresh' });
    await expect(parts.authenticator.admit(token, parts.clock.now())).rejects.toMatchObject({
      code: 'token_invalid',
    });
  });

  it('admits no token that is not valid', async () => {
    const parts = authParts();
    await expect(parts.authenticator.admit('garbage', 0)).rejects.toMatchObject({ code: 'token_invalid' });
    await expect(parts.authenticator.admit(sign(parts.clock, { exp: 1 }), 0)).rejects.toMatchObject({
      code: 'token_expired',
    });
  });
});

describe('Authenticator, a token that must be active', () => {
  it('is refused when it is valid but not known', async () => {
    const parts = authParts({ requireActive: true });
    expect(await outcome(parts, sign(parts.clock))).toBe('token_revoked');
  });

  it.each([
    { name: 'issued in the second of the request', claims: () => ({}), out: 'alice' },
    { name: 'issued by a clock 5 s behind', claims: (now: number) => ({ iat: now - 5 }), out: 'alice' },
    { name: 'issued 6 s before', claims: (now: number) => ({ iat: now - 6 }), out: 'token_revoked' },
    { name: 'that does not say when', claims: () => ({ iat: undefined }), out: 'token_revoked' },
  ])('is not brought back by a service that echoes it: one $name is then $out', async ({ claims, out }) => {
    const clock = new ManualClock(Date.UTC(2026, 0, 15));
    const parts = authParts({ clock, requireActive: true, clockToleranceMs: 5_000 });
    const payload: Record<string, unknown> = claims(Math.floor(parts.clock.now() / 1000));
    const token =
      'iat' in payload && payload.iat === undefined
        ? signText(JSON.stringify({ sub: 'alice', exp: Math.floor(parts.clock.now() / 1000) + 60 }))
        : sign(parts.clock, payload);
    await parts.authenticator.admit(token, parts.clock.now() + 700).catch(() => undefined);
    expect(await outcome(parts, token)).toBe(out);
  });

  it('is accepted for as long as it is used', async () => {
    const parts = authParts({ requireActive: true, requireExpiry: false });
    const token = sign(parts.clock, { exp: undefined });
    await parts.authenticator.admit(token, parts.clock.now());
    for (let i = 0; i < 20; i += 1) {
      parts.clock.advance(ACTIVE_TTL_MS / 2);
      expect(await outcome(parts, token)).toBe('alice');
      await turn();
    }
    parts.clock.advance(ACTIVE_TTL_MS);
    expect(await outcome(parts, token)).toBe('token_revoked');
  });

  it('is stored again at half its life and not at every request', async () => {
    const clock = new ManualClock();
    const store = memoryTokens(clock);
    const sets: string[] = [];
    const counting = Object.assign(Object.create(store), {
      get: (key: string) => store.get(key),
      delete: (key: string) => store.delete(key),
      set: (key: string, value: string, ttlMs: number) => {
        sets.push(key);
        return store.set(key, value, ttlMs);
      },
    });
    const parts = authParts({ clock, store: counting });
    const token = sign(clock);
    for (let i = 0; i < 5; i += 1) await parts.authenticator.authenticate(token);
    expect(sets).toHaveLength(1);
    clock.advance(ACTIVE_TTL_MS / 2 - 1);
    await parts.authenticator.authenticate(token);
    expect(sets).toHaveLength(1);
    clock.advance(1);
    await parts.authenticator.authenticate(token);
    expect(sets).toEqual([`token:${token}`, `token:${token}`]);
  });

  it('is not stored beyond its own expiry', async () => {
    const parts = authParts();
    const token = sign(parts.clock, { exp: Math.floor(parts.clock.now() / 1000) + 5 });
    await parts.authenticator.admit(token, parts.clock.now());
    parts.clock.advance(5_000);
    expect(await parts.store.get(`token:${token}`)).toBeUndefined();
  });
});

describe('Authenticator without its store', () => {
  function failingParts(onStoreFailure: 'refuse' | 'allow') {
    const clock = new ManualClock();
    const store = failingTokens(memoryTokens(clock));
    const errors: Error[] = [];
    const onStoreError = (error: Error) => void errors.push(error);
    return { parts: authParts({ clock, store, onStoreFailure, onStoreError }), store, errors };
  }

  it('refuses by default: nobody knows what was revoked', async () => {
    const { parts, errors } = failingParts('refuse');
    expect(await outcome(parts, sign(parts.clock))).toBe('store_unavailable');
    expect(errors).toEqual([]);
  });

  it('accepts a good signature when told to, and tells of the failure', async () => {
    const { parts, errors } = failingParts('allow');
    expect(await outcome(parts, sign(parts.clock))).toBe('alice');
    expect(errors).toEqual([expect.any(StoreUnavailableError)]);
  });

  it('never accepts a bad signature', async () => {
    const { parts } = failingParts('allow');
    expect(await outcome(parts, 'garbage')).toBe('token_invalid');
  });

  it('rejects what it cannot revoke, even when told to allow', async () => {
    const { parts } = failingParts('allow');
    await expect(revoke(parts, sign(parts.clock))).rejects.toBeInstanceOf(StoreUnavailableError);
  });

  it('accepts again as soon as the store is back', async () => {
    const { parts, store } = failingParts('refuse');
    const token = sign(parts.clock);
    expect(await outcome(parts, token)).toBe('store_unavailable');
    store.failing = false;
    expect(await outcome(parts, token)).toBe('alice');
  });

  it('tries again to store a token as active when that failed', async () => {
    const clock = new ManualClock();
    const store = memoryTokens(clock);
    let failing = true;
    const errors: Error[] = [];
    const readOnly = Object.assign(Object.create(store), {
      get: (key: string) => store.get(key),
      set: async (key: string, value: string, ttlMs: number) => {
        if (failing) throw new StoreUnavailableError('read only');
        await store.set(key, value, ttlMs);
      },
    });
    const parts = authParts({ clock, store: readOnly, onStoreError: (error) => void errors.push(error) });
    const token = sign(clock);
    expect(await outcome(parts, token)).toBe('alice');
    await turn();
    expect(errors).toHaveLength(1);
    failing = false;
    expect(await outcome(parts, token)).toBe('alice');
    expect(await store.get(`token:${token}`)).toBeUndefined();
    clock.advance(1_000);
    expect(await outcome(parts, token)).toBe('alice');
    await turn();
    expect(await store.get(`token:${token}`)).toBeDefined();
  });

  it('stands a listener that throws', async () => {
    using broken = new BrokenListener();
    const clock = new ManualClock();
    const store = failingTokens(memoryTokens(clock));
    const parts = authParts({ clock, store, onStoreFailure: 'allow', onStoreError: broken.listen });
    expect(await outcome(parts, sign(clock))).toBe('alice');
  });
});
