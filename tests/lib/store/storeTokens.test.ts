import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { openStores } from '../../../lib/store/open.ts';
import { type Group, type Stores, StoreUnavailableError, type TokenStore } from '../../../lib/store/store.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';

const MINUTE_MS = 60_000;
// Real processes on a machine that may be busy.
jest.setTimeout(30_000);

/** Two gateways on one Redis, and two processes on one file, as while one takes over from the other. */
describe.each(['redis', 'embedded'] as const)('what two %s stores for tokens know', (kind) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gateway-tokens-'));
  const opened: Stores[] = [];
  let here: TokenStore;
  let there: TokenStore;

  const open = async () => {
    const redisUrl = kind === 'redis' ? process.env.TEST_REDIS_URL : undefined;
    const stores = await openStores({ ...(redisUrl && { redisUrl }), dataDir, timeoutMs: 1_000 });
    opened.push(stores);
    return stores;
  };
  beforeAll(async () => {
    [here, there] = [(await open()).tokens, (await open()).tokens];
  });
  afterAll(async () => {
    for (const stores of opened) await stores.close();
    rmSync(dataDir, { recursive: true });
  });
  const newKey = () => `test:${randomUUID()}`;
  const texts = (group: Group) => group.map(({ value }) => String(value)).sort();

  test('nothing without asking, at first', () => {
    expect(here.peek(newKey())).toBeUndefined();
    expect(here.peekGroup(newKey())).toBeUndefined();
  });

  test('what was read, and that there was nothing', async () => {
    const [key, absent] = [newKey(), newKey()];
    await here.set(key, 'value', MINUTE_MS);
    await eventually('it is known', async () => {
      await here.get(key);
      return String(here.peek(key)?.value) === 'value';
    });
    await here.get(absent);
    expect(here.peek(absent)).toHaveProperty('value', undefined);
  });

  test('what the other has changed since', async () => {
    const key = newKey();
    expect(await here.get(key)).toBeUndefined();
    await there.set(key, 'value', MINUTE_MS);
    await eventually(
      'it is not known any more',
      () => here.peek(key)?.value !== undefined || !here.peek(key),
    );
    expect(String(await here.get(key))).toBe('value');
  });

  test('groups: values by id, replaced and removed, an empty one included', async () => {
    const name = newKey();
    expect(await here.getGroup(name)).toEqual([]);
    await here.putInGroup(name, 'a', 'first');
    await here.putInGroup(name, 'b', 'second');
    await here.putInGroup(name, 'a', 'third');
    expect(texts(await here.getGroup(name))).toEqual(['second', 'third']);
    expect((await here.getGroup(name)).map(({ id }) => id).sort()).toEqual(['a', 'b']);
    expect(await here.removeFromGroup(name, 'b')).toBe(true);
    expect(await here.removeFromGroup(name, 'b')).toBe(false);
    expect(texts(await here.getGroup(name))).toEqual(['third']);
    expect(await here.getGroup(`${name}x`)).toEqual([]);
  });

  test('a group as the same array until it changes, here or there', async () => {
    const name = newKey();
    await here.putInGroup(name, 'a', 'first');
    const group = await eventually('it is remembered', async () => {
      const read = await here.getGroup(name);
      return here.peekGroup(name)?.value === read ? read : undefined;
    });
    expect(await here.getGroup(name)).toBe(group);
    await there.putInGroup(name, 'b', 'second');
    await eventually('it is not known any more', () => here.peekGroup(name)?.value !== group);
    expect(texts(await here.getGroup(name))).toEqual(['first', 'second']);
  });

  test('nothing any more once it is closed', async () => {
    const stores = await open();
    await stores.tokens.get('key');
    await stores.tokens.getGroup('group');
    await stores.close();
    expect(stores.tokens.peek('key')).toBeUndefined();
    expect(stores.tokens.peekGroup('group')).toBeUndefined();
    await expect(stores.tokens.getGroup('group')).rejects.toBeInstanceOf(StoreUnavailableError);
  });
});

test('the embedded store remembers a value no longer than it lives', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gateway-tokens-'));
  const clock = new ManualClock();
  const { tokens, close } = await openStores({ dataDir, clock });
  await tokens.set('key', 'value', MINUTE_MS);
  expect(String(await tokens.get('key'))).toBe('value');
  expect(String(tokens.peek('key')?.value)).toBe('value');
  clock.advance(MINUTE_MS);
  expect(tokens.peek('key')).toBeUndefined();
  expect(await tokens.get('key')).toBeUndefined();
  await close();
  rmSync(dataDir, { recursive: true });
});
