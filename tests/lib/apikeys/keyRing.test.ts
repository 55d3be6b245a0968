import { describe, expect, it } from '@jest/globals';
import { ApiKeys } from '../../../lib/apikeys/apiKeys.ts';
import { KEPT_MS, KeyRing, MAX_API_KEYS } from '../../../lib/apikeys/keyRing.ts';
import { newKeyId, newKeyText } from '../../../lib/apikeys/keyText.ts';
import { LastUsed, NOTED_EVERY_MS } from '../../../lib/apikeys/lastUsed.ts';
import type { KeyGrants } from '../../../lib/apikeys/record.ts';
import { API_KEYS_GROUP } from '../../../lib/store/lasting.ts';
import { StoreUnavailableError, type TokenStore } from '../../../lib/store/store.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { failingTokens, memoryTokens } from '../../support/stores/memoryStore.ts';

const GRANTS: KeyGrants = {
  name: 'nightly',
  owner: 'billing',
  scopes: ['read'],
  claims: {},
  expiresAtMs: null,
};
const HOUR_MS = 3_600_000;

function setUp(store?: TokenStore, clock = new ManualClock()) {
  const used = store ?? memoryTokens(clock);
  const keys = new ApiKeys({ store: used, clock });
  return { clock, store: used, keys, ring: new KeyRing({ keys, store: used, clock }) };
}

const outcome = (keys: ApiKeys, text: string) =>
  keys.authenticate(text).then(
    ({ state }) => state.id,
    ({ code, message }) => `${code}: ${message}`,
  );

describe('an API key', () => {
  it('is accepted once it is made, without waiting', async () => {
    const { keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    expect(await outcome(keys, text)).toBe(state.id);
    expect(keys.authenticateNow(text)?.identity).toMatchObject({
      subject: `apikey:${state.id}`,
      key: `apikey ${state.id}`,
      apiKey: { id: state.id, owner: 'billing' },
    });
  });

  it('says who it is in the words of a token', async () => {
    const { keys, ring } = setUp();
    const expiresAtMs = 4_000_000_000_000;
    const { text, state } = await ring.create({
      ...GRANTS,
      scopes: ['read', 'write'],
      claims: { role: ['job'], tier: 2 },
      expiresAtMs,
    });
    const { identity } = await keys.authenticate(text);
    expect(JSON.parse(Buffer.from(identity.claims, 'base64url').toString())).toEqual({
      iss: 'urn:faf-cab-gateway:api-keys',
      sub: `apikey:${state.id}`,
      name: 'nightly',
      owner: 'billing',
      scope: 'read write',
      role: ['job'],
      tier: 2,
      exp: 4_000_000_000,
    });
  });

  it('is nowhere in the store, nor is its secret', async () => {
    const { store, ring } = setUp();
    const { text } = await ring.create(GRANTS);
    const all = (await store.getGroup(API_KEYS_GROUP)).map(({ value }) => String(value)).join('');
    expect(all).toContain('nightly');
    expect(all).not.toContain(text.slice(20, 40));
  });

  it('is not accepted from the moment on when it expires', async () => {
    const { clock, keys, ring } = setUp();
    const { text, state } = await ring.create({ ...GRANTS, expiresAtMs: clock.now() + HOUR_MS });
    clock.advance(HOUR_MS - 1);
    expect(await outcome(keys, text)).toBe(state.id);
    clock.advance(1);
    expect(await outcome(keys, text)).toBe(`api_key_expired: the API key ${state.id} has expired`);
  });

  it('is not accepted once it is revoked, and nothing changes that', async () => {
    const { keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    await ring.revoke(state.id);
    await ring.revoke(state.id);
    expect(await outcome(keys, text)).toBe(`api_key_revoked: the API key ${state.id} was revoked`);
    const conflict = { code: 'api_key_conflict' };
    await expect(ring.change(state.id, { name: 'x' })).rejects.toMatchObject(conflict);
    await expect(ring.rotate(state.id, 0)).rejects.toMatchObject(conflict);
  });

  it('of nobody is refused, with the id that it names and nothing else of it', async () => {
    const { keys, ring } = setUp();
    const { state } = await ring.create(GRANTS);
    const forged = newKeyText(state.id);
    expect(await outcome(keys, forged)).toBe(`api_key_invalid: the API key ${state.id} is not known`);
  });

  it('that has no form or a wrong checksum asks nobody', async () => {
    const { store, ring } = setUp();
    const { text } = await ring.create(GRANTS);
    const asked: string[] = [];
    const watched = {
      ...store,
      peekGroup: (name: string) => void asked.push(name) as undefined,
      getGroup: async (name: string) => {
        asked.push(name);
        return store.getGroup(name);
      },
    };
    const keys = new ApiKeys({ store: watched });
    for (const wrong of ['', 'x'.repeat(8192), 'fafkey_ключ', `${text}0`, text.slice(0, -1)]) {
      expect(await outcome(keys, wrong)).toBe('api_key_invalid: the API key does not have the form of one');
    }
    const last = text.endsWith('0') ? '1' : '0';
    expect(await outcome(keys, text.slice(0, -1) + last)).toContain('the checksum of the API key is wrong');
    expect(asked).toEqual([]);
    await keys.authenticate(text);
    expect(asked.length).toBeGreaterThan(0);
  });
});

describe('a rotated API key', () => {
  it('ends at once without grace', async () => {
    const { keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    const next = await ring.rotate(state.id, 0);
    expect(next.text.slice(0, 20)).toBe(text.slice(0, 20));
    expect(await outcome(keys, next.text)).toBe(state.id);
    expect(await outcome(keys, text)).toBe(
      `api_key_revoked: the API key ${state.id} was rotated, and this is the old one`,
    );
  });

  it('stays good for its grace, and then no longer', async () => {
    const { clock, keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    const next = await ring.rotate(state.id, HOUR_MS);
    clock.advance(HOUR_MS - 1);
    expect(await outcome(keys, text)).toBe(state.id);
    clock.advance(1);
    expect(await outcome(keys, text)).toContain('api_key_revoked');
    expect(await outcome(keys, next.text)).toBe(state.id);
  });

  it('ends all that came before, when it is rotated again without grace', async () => {
    const { keys, ring } = setUp();
    const first = await ring.create(GRANTS);
    const second = await ring.rotate(first.state.id, HOUR_MS);
    const third = await ring.rotate(first.state.id, 0);
    for (const { text } of [first, second]) expect(await outcome(keys, text)).toContain('api_key_revoked');
    expect(await outcome(keys, third.text)).toBe(first.state.id);
  });

  it('keeps what it has promised: a sixth good one is refused', async () => {
    const { clock, keys, ring } = setUp();
    const first = await ring.create(GRANTS);
    for (let n = 0; n < 5; n += 1) await ring.rotate(first.state.id, HOUR_MS);
    await expect(ring.rotate(first.state.id, HOUR_MS)).rejects.toMatchObject({ code: 'api_key_conflict' });
    expect(await outcome(keys, first.text)).toBe(first.state.id);
    clock.advance(HOUR_MS);
    await ring.rotate(first.state.id, HOUR_MS);
  });

  it('is revoked with all that it has replaced', async () => {
    const { keys, ring } = setUp();
    const first = await ring.create(GRANTS);
    const second = await ring.rotate(first.state.id, HOUR_MS);
    await ring.revoke(first.state.id);
    for (const { text } of [first, second]) expect(await outcome(keys, text)).toContain('was revoked');
  });

  it('leaves one record behind, however often it is changed', async () => {
    const { store, ring } = setUp();
    const { state } = await ring.create(GRANTS);
    for (let n = 0; n < 10; n += 1) await ring.change(state.id, { name: `n${n}` });
    expect(await store.getGroup(API_KEYS_GROUP)).toHaveLength(1);
    expect(await ring.get(state.id)).toMatchObject({ name: 'n9', owner: 'billing', version: 11 });
  });
});

describe('two changes at the same time', () => {
  it('never both seem to count', async () => {
    const { store, keys, ring } = setUp();
    const { state } = await ring.create(GRANTS);
    const other = new KeyRing({ keys: new ApiKeys({ store }), store });
    const outcomes = await Promise.allSettled([ring.rotate(state.id, 0), other.rotate(state.id, 0)]);
    const done = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(done.length).toBeLessThan(2);
    for (const { text } of done) expect(await outcome(keys, text)).toBe(state.id);
    for (const each of outcomes)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'api_key_conflict' });
  });

  it('of which one revokes leave it revoked', async () => {
    const { store, keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    const other = new KeyRing({ keys: new ApiKeys({ store }), store });
    await Promise.allSettled([ring.rotate(state.id, HOUR_MS), other.revoke(state.id)]);
    expect(await outcome(keys, text)).toContain('api_key_revoked');
  });
});

describe('the list of API keys', () => {
  it('has the newest first, ended ones for thirty days', async () => {
    const { clock, store, ring } = setUp();
    const old = await ring.create(GRANTS);
    clock.advance(1000);
    const young = await ring.create(GRANTS);
    await ring.revoke(old.state.id);
    const ids = async () => (await ring.list()).map(({ id }) => id);
    expect(await ids()).toEqual([young.state.id, old.state.id]);
    clock.advance(KEPT_MS);
    expect(await ids()).toEqual([young.state.id]);
    expect(await store.getGroup(API_KEYS_GROUP)).toHaveLength(1);
  });

  it('is bounded: ended keys make room, and without any there is none', async () => {
    const { store, clock, ring } = setUp();
    const { state } = await ring.create(GRANTS);
    for (let n = 1; n < MAX_API_KEYS; n += 1) {
      const id = newKeyId();
      const record = { ...state, id, digest: `digest of ${id}` };
      await store.putInGroup(API_KEYS_GROUP, `${id}.1.n`, JSON.stringify(record));
    }
    await expect(ring.create(GRANTS)).rejects.toMatchObject({ code: 'too_many_api_keys' });
    await ring.revoke(state.id);
    clock.advance(1);
    await ring.create(GRANTS);
    await expect(ring.get(state.id)).rejects.toMatchObject({ code: 'no_such_api_key' });
  });
});

describe('API keys without their store', () => {
  it('are all refused, those that were good a moment ago as well', async () => {
    const clock = new ManualClock();
    const store = failingTokens(memoryTokens(clock));
    store.failing = false;
    const { keys, ring } = setUp(store, clock);
    const { text, state } = await ring.create(GRANTS);
    expect(await outcome(keys, text)).toBe(state.id);
    store.failing = true;
    expect(keys.authenticateNow(text)).toBeUndefined();
    await expect(keys.authenticate(text)).rejects.toThrow(StoreUnavailableError);
    store.failing = false;
    expect(await outcome(keys, text)).toBe(state.id);
  });
});

describe('a record of API keys that cannot be read', () => {
  it.each(['{"kind":"something new"}', 'nonsense', '', '{"kind":"revoked","id":"'])(
    'refuses its own key, of which it might say that it was revoked, and no other: %j',
    async (damaged) => {
      const { store, keys, ring } = setUp();
      const hurt = await ring.create(GRANTS);
      const other = await ring.create(GRANTS);
      for (const field of ['revoked', '2.nonce']) {
        await store.putInGroup(API_KEYS_GROUP, `${hurt.state.id}.${field}`, damaged);
        await expect(keys.authenticate(hurt.text)).rejects.toThrow(StoreUnavailableError);
        expect(() => keys.authenticateNow(hurt.text)).toThrow(StoreUnavailableError);
        expect(await outcome(keys, other.text)).toBe(other.state.id);
        await store.removeFromGroup(API_KEYS_GROUP, `${hurt.state.id}.${field}`);
      }
      expect(await outcome(keys, hurt.text)).toBe(hurt.state.id);
    },
  );

  it('is the only one that the key has: nobody can say that the key is wrong', async () => {
    const { store, keys } = setUp();
    const id = newKeyId();
    await store.putInGroup(API_KEYS_GROUP, `${id}.1.nonce`, 'nonsense');
    await expect(keys.authenticate(newKeyText(id))).rejects.toThrow(StoreUnavailableError);
  });

  it('of no key that there is refuses none', async () => {
    const { store, keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    for (const field of ['', 'x', 'x.y.z', '.revoked']) await store.putInGroup(API_KEYS_GROUP, field, '?');
    expect(await outcome(keys, text)).toBe(state.id);
  });

  it('that says that its key is revoked is made good by revoking it again', async () => {
    const { store, keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    await store.putInGroup(API_KEYS_GROUP, `${state.id}.revoked`, 'nonsense');
    await ring.revoke(state.id);
    expect(await outcome(keys, text)).toContain('was revoked');
  });

  it('lets nobody change its key, which can still be revoked', async () => {
    const { store, keys, ring } = setUp();
    const { text, state } = await ring.create(GRANTS);
    await store.putInGroup(API_KEYS_GROUP, `${state.id}.2.nonce`, 'nonsense');
    await expect(ring.change(state.id, { name: 'other' })).rejects.toThrow(StoreUnavailableError);
    await expect(ring.rotate(state.id, 0)).rejects.toThrow(StoreUnavailableError);
    await ring.revoke(state.id);
    await store.removeFromGroup(API_KEYS_GROUP, `${state.id}.2.nonce`);
    expect(await outcome(keys, text)).toContain('was revoked');
  });

  it('is told of once, and by its field, without a key that somebody has put there', async () => {
    const clock = new ManualClock();
    const store = memoryTokens(clock);
    const told: string[] = [];
    const keys = new ApiKeys({ store, clock, onUnreadable: ({ message }) => told.push(message) });
    const ring = new KeyRing({ keys, store, clock });
    const { text, state } = await ring.create(GRANTS);
    await store.putInGroup(API_KEYS_GROUP, text, 'nonsense');
    for (let n = 0; n < 3; n += 1) await ring.change(state.id, { name: `n${n}` });
    expect(told).toEqual([`the record "fafkey_${state.id}_..." of API keys in the store cannot be read`]);
  });
});

describe('the last use of a key', () => {
  it('is noted once in ten minutes, and again soon when that has failed', async () => {
    const clock = new ManualClock();
    const store = failingTokens(memoryTokens(clock));
    const errors: Error[] = [];
    const lastUsed = new LastUsed({ store, clock, onError: (error) => errors.push(error) });
    lastUsed.note('a');
    await new Promise(setImmediate);
    expect(errors).toHaveLength(1);
    store.failing = false;
    expect(await lastUsed.of('a')).toBeUndefined();
    clock.advance(10_000);
    lastUsed.note('a');
    const firstAtMs = clock.now();
    clock.advance(NOTED_EVERY_MS - 1);
    lastUsed.note('a');
    expect(await lastUsed.of('a')).toBe(firstAtMs);
    clock.advance(1);
    lastUsed.note('a');
    expect(await lastUsed.of('a')).toBe(clock.now());
  });
});
