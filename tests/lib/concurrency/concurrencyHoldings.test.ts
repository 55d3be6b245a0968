import { describe, expect, it } from '@jest/globals';
import { Holdings } from '../../../lib/concurrency/holdings.ts';
import { shareOf } from '../../../lib/concurrency/permits.ts';

describe('Holdings', () => {
  it('remembers few who hold nothing, however many come', () => {
    const holdings = new Holdings(8);
    for (let n = 0; n < 10_000; n += 1) {
      holdings.of(`caller ${n}`).add();
      if (n >= 10) holdings.of(`caller ${n - 10}`).remove();
      expect(holdings.callers).toBeLessThanOrEqual(2 * 11 + 64);
    }
  });

  it.each([0, 5])('remembers 64 more than twice %i holders', (holders) => {
    const holdings = new Holdings(8);
    for (let n = 0; n < holders; n += 1) holdings.of(`holder ${n}`).add();
    const most = 2 * holders + 64;
    for (let n = holders; n < most; n += 1) holdings.of(`caller ${n}`);
    expect(holdings.callers).toBe(most);
    holdings.of('one more');
    expect(holdings.callers).toBe(holders + 1);
  });

  it('never forgets what is held', () => {
    const holdings = new Holdings(2);
    const held = holdings.of('holder');
    held.add();
    for (let n = 0; n < 10_000; n += 1) holdings.of(`caller ${n}`);
    expect(holdings.of('holder')).toBe(held);
  });

  it('looks through those who hold something for others rarely, however many they are', () => {
    const holdings = new Holdings(2);
    for (let n = 0; n < 1_000; n += 1) holdings.of(`holder ${n}`).add();
    for (let n = 0; n < 1_000; n += 1) holdings.of(`caller ${n}`);
    expect(holdings.callers).toBe(2_000);
  });

  it('counts what each holds', () => {
    const holdings = new Holdings(2);
    const [a, b, c] = [holdings.of('a'), holdings.of('b'), holdings.of('c')];
    for (const holding of [a, b, a]) holding.add();
    expect([a, b, c].map(({ hasShare }) => hasShare)).toEqual([true, false, false]);
    a.remove();
    expect(holdings.of('a').hasShare).toBe(false);
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
