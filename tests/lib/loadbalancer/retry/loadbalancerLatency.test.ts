import { describe, expect, it } from '@jest/globals';
import { RecentLatency } from '../../../../lib/loadbalancer/retry/recentLatency.ts';

function latencyOf(...times: readonly number[]): RecentLatency {
  const latency = new RecentLatency();
  for (const ms of times) latency.add(ms);
  return latency;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('RecentLatency', () => {
  it('knows nothing before the first', () => {
    expect(latencyOf().quantile(0.5)).toBeUndefined();
  });

  it.each([
    { times: [7], half: 7, most: 7 },
    { times: [2400, 5], half: 2400, most: 2400 },
    { times: [3, 1, 2], half: 2, most: 3 },
    { times: upTo(100).reverse(), half: 51, most: 96 },
  ])('of $times.length: median $half, 95 % $most', ({ times, half, most }) => {
    const latency = latencyOf(...times);
    expect([latency.quantile(0.5), latency.quantile(0.95)]).toEqual([half, most]);
  });

  it('sees each of the first ones at once', () => {
    const latency = latencyOf(1);
    expect(latency.quantile(0.95)).toBe(1);
    latency.add(9);
    expect(latency.quantile(0.95)).toBe(9);
  });

  it('forgets all but the latest 128', () => {
    const latency = latencyOf(...upTo(128).map(() => 1000));
    for (let i = 0; i < 128; i += 1) latency.add(1);
    expect(latency.quantile(0.95)).toBe(1);
  });

  it('sees new ones after 16 of them at the latest', () => {
    const latency = latencyOf(...upTo(128).map(() => 1));
    expect(latency.quantile(0.95)).toBe(1);
    for (let i = 0; i < 16; i += 1) latency.add(1000);
    expect(latency.quantile(0.95)).toBe(1000);
  });
});
