import { describe, expect, it } from '@jest/globals';
import { Holdings } from '../lib/concurrency/holdings.ts';
import { shareOf } from '../lib/concurrency/permits.ts';

describe('Holdings', () => {
  it('remembers nobody who holds nothing, however many come', () => {
    const holdings = new Holdings(8);
    for (let n = 0; n < 10_000; n += 1) {
      holdings.add(`caller ${n}`);
      if (n >= 10) holdings.remove(`caller ${n - 10}`);
      expect(holdings.callers).toBeLessThanOrEqual(11);
    }
    for (let n = 9_990; n < 10_000; n += 1) holdings.remove(`caller ${n}`);
    expect(holdings.callers).toBe(0);
  });

  it('counts what each holds', () => {
    const holdings = new Holdings(2);
    holdings.add('a');
    holdings.add('b');
    holdings.add('a');
    expect([holdings.hasShare('a'), holdings.hasShare('b'), holdings.hasShare('c')]).toEqual([
      true,
      false,
      false,
    ]);
    holdings.remove('a');
    expect(holdings.hasShare('a')).toBe(false);
    holdings.remove('b');
    holdings.add('a');
    expect(holdings.hasShare('a')).toBe(true);
  });
});

describe('shareOf', () => {
  it.each([
    { limit: 10, fairShare: 0.8, share: 8 },
    { limit: 100, fairShare: 0.29, share: 29 },
    { limit: 3, fairShare: 0, share: 1 },
    { limit: 1, fairShare: 0.8, share: 1 },
    { limit: 0, fairShare: 0.8, share: 0 },
    { limit: 10, fairShare: 1, share: 10 },
  ])('of $limit at $fairShare is $share', ({ limit, fairShare, share }) => {
    expect(shareOf(limit, fairShare)).toBe(share);
  });
});
