import { describe, expect, it } from '@jest/globals';
import { fnv1a, spread } from '../../../lib/util/hash.ts';

describe('fnv1a', () => {
  // The test vectors of the algorithm's authors.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('of "%s" is the published one', (text, hash) => {
    expect(fnv1a(text) >>> 0).toBe(hash);
  });

  it('goes on where another hash ended', () => {
    expect(fnv1a('bar', fnv1a('foo'))).toBe(fnv1a('foobar'));
  });

  it('takes a part of a text', () => {
    expect(fnv1a('a foobar', undefined, 2, 5)).toBe(fnv1a('foo'));
  });
});

describe('spread', () => {
  it('gives similar texts numbers all over the range, none of them negative', () => {
    const tenths = Array.from({ length: 1_000 }, (_, n) =>
      Math.floor(spread(fnv1a(`replica ${n}`)) / (2 ** 32 / 10)),
    );
    const counts = Array.from({ length: 10 }, (_, tenth) => tenths.filter((one) => one === tenth).length);
    expect(Math.min(...counts)).toBeGreaterThan(60);
    expect(Math.max(...counts)).toBeLessThan(140);
  });
});
