import { describe, expect, test } from '@jest/globals';
import { LocalCache } from '../../../../lib/store/redis/localCache.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const MAX_AGE_MS = 10_000;

function cacheAt(clock = new ManualClock()) {
  return new LocalCache<Buffer | undefined>({ maxBytes: 1_000_000, maxAgeMs: MAX_AGE_MS, clock });
}

const answer = (text: string) => async () => Buffer.from(text);

describe('local cache', () => {
  test('knows nothing until it has loaded, then remembers values and absences', async () => {
    const cache = cacheAt();
    expect(cache.get('key')).toBeUndefined();
    await cache.load('key', answer('value'));
    await cache.load('absent', async () => undefined);
    expect(String(cache.get('key')?.value)).toBe('value');
    expect(cache.get('absent')).toEqual({ value: undefined });
  });

  test('forgets at its maximum age, used or not', async () => {
    const clock = new ManualClock();
    const cache = cacheAt(clock);
    await cache.load('key', answer('value'));
    clock.advance(MAX_AGE_MS);
    expect(cache.get('key')).toBeDefined();
    clock.advance(1);
    expect(cache.get('key')).toBeUndefined();
  });

  test('keeps for good what is absent: only a change elsewhere makes it appear', async () => {
    const clock = new ManualClock();
    const cache = cacheAt(clock);
    await cache.load('absent', async () => undefined);
    clock.advance(1_000 * MAX_AGE_MS);
    expect(cache.get('absent')).toEqual({ value: undefined });
  });

  test('gives the answer to everybody who asked, but does not remember one that was forgotten on its way', async () => {
    const cache = cacheAt();
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const [first, second] = [cache.load('key', () => promise), cache.load('key', answer('never asked'))];
    cache.forget('key');
    const third = cache.load('key', answer('new'));
    resolve(Buffer.from('old'));
    expect((await Promise.all([first, second, third])).map(String)).toEqual(['old', 'old', 'new']);
    expect(String(cache.get('key')?.value)).toBe('new');
  });

  test('remembers nothing of what was on its way when everything was forgotten', async () => {
    const cache = cacheAt();
    const load = cache.load('key', answer('value'));
    cache.forgetAll();
    await load;
    expect(cache.get('key')).toBeUndefined();
  });

  test('a failure is not remembered: the next one asks again', async () => {
    const cache = cacheAt();
    const fail = async () => {
      throw new Error('away');
    };
    await expect(cache.load('key', fail)).rejects.toThrow('away');
    expect(String(await cache.load('key', answer('value')))).toBe('value');
  });
});
