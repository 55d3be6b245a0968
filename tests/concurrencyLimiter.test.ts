import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Limiter, type Release } from '../lib/concurrency/limiter.ts';

const NEVER = new AbortController().signal;

/** A limiter with one permit, which is taken, and room for `queue` callers to wait. */
function busyLimiter(queue: number): { limiter: Limiter; release: Release } {
  const limiter = new Limiter({ limit: 1, queue });
  const release = limiter.tryAcquire();
  if (!release) throw new Error('the first permit is free');
  return { limiter, release };
}

describe('Limiter', () => {
  it('hands out as many permits as its limit', () => {
    const limiter = new Limiter({ limit: 3 });
    const permits = [1, 2, 3, 4].map(() => limiter.tryAcquire());
    expect(permits.map(Boolean)).toEqual([true, true, true, false]);
    expect(limiter.held).toBe(3);
  });

  it('hands out a permit that was given back', () => {
    const { limiter, release } = busyLimiter(0);
    release();
    expect(limiter.held).toBe(0);
    expect(limiter.tryAcquire()).toBeDefined();
  });

  it('takes a permit back once, however often it is released', () => {
    const limiter = new Limiter({ limit: 2 });
    const release = limiter.tryAcquire();
    limiter.tryAcquire();
    release?.();
    release?.();
    expect(limiter.held).toBe(1);
  });

  it('with limit 0 refuses everybody', async () => {
    const limiter = new Limiter({ limit: 0 });
    expect(limiter.tryAcquire()).toBeUndefined();
    expect(await limiter.acquire(NEVER)).toBeUndefined();
  });

  it('without a queue refuses at once', async () => {
    const { limiter } = busyLimiter(0);
    expect(await limiter.acquire(NEVER)).toBeUndefined();
    expect(limiter.waiting).toBe(0);
  });

  it('serves its queue first come, first served', async () => {
    const { limiter, release } = busyLimiter(3);
    const served: string[] = [];
    const visits = ['a', 'b', 'c'].map(async (name) => {
      const leave = await limiter.acquire(NEVER);
      served.push(name);
      leave?.();
    });
    expect(limiter.waiting).toBe(3);
    release();
    await Promise.all(visits);
    expect(served).toEqual(['a', 'b', 'c']);
    expect(limiter.held).toBe(0);
  });

  it('refuses when the queue is full too', async () => {
    const { limiter } = busyLimiter(1);
    const waiting = limiter.acquire(AbortSignal.timeout(0)).catch(() => 'gave up');
    expect(await limiter.acquire(NEVER)).toBeUndefined();
    expect(await waiting).toBe('gave up');
  });

  it('never lets a newcomer overtake the queue', async () => {
    const { limiter, release } = busyLimiter(1);
    const first = limiter.acquire(NEVER);
    release();
    expect(limiter.tryAcquire()).toBeUndefined();
    expect(await first).toBeDefined();
  });

  it('does not count a second release against whoever got the permit', async () => {
    const { limiter, release } = busyLimiter(1);
    const next = limiter.acquire(NEVER);
    release();
    release();
    await next;
    expect(limiter.held).toBe(1);
    expect(limiter.tryAcquire()).toBeUndefined();
  });

  it('rejects a caller whose signal was aborted before', async () => {
    const limiter = new Limiter({ limit: 1 });
    const reason = new Error('left');
    await expect(limiter.acquire(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(limiter.held).toBe(0);
  });

  // The place is free at once: not when its turn comes and finds it gone.
  it('frees the place of a caller who leaves the queue', async () => {
    const { limiter, release } = busyLimiter(1);
    const leaver = new AbortController();
    const left = limiter.acquire(leaver.signal);
    const reason = new Error('left');
    leaver.abort(reason);
    expect(limiter.waiting).toBe(0);
    await expect(left).rejects.toBe(reason);

    const next = limiter.acquire(NEVER);
    release();
    expect(await next).toBeDefined();
    expect(limiter.held).toBe(1);
  });

  it('skips a caller who has left in the middle of the queue', async () => {
    const { limiter, release } = busyLimiter(3);
    const leaver = new AbortController();
    const first = limiter.acquire(NEVER);
    const left = limiter.acquire(leaver.signal).catch(() => 'left');
    const last = limiter.acquire(NEVER);
    leaver.abort();
    release();
    (await first)?.();
    expect(await left).toBe('left');
    expect(await last).toBeDefined();
  });

  it('does not leak abort listeners', async () => {
    const { limiter, release } = busyLimiter(2);
    const served = new AbortController();
    const leaver = new AbortController();
    const waits = [limiter.acquire(served.signal), limiter.acquire(leaver.signal).catch(() => {})];
    expect(getEventListeners(served.signal, 'abort')).toHaveLength(1);
    release();
    leaver.abort();
    await Promise.all(waits);
    expect(getEventListeners(served.signal, 'abort')).toHaveLength(0);
    expect(getEventListeners(leaver.signal, 'abort')).toHaveLength(0);
  });

  it('never hands out more permits than its limit, whatever 1,000 callers do', async () => {
    const limiter = new Limiter({ limit: 7, queue: 500 });
    let inside = 0;
    let mostInside = 0;
    const outcomes = await Promise.all(
      Array.from({ length: 1_000 }, async (_, i) => {
        const leaver = new AbortController();
        const permit = limiter.acquire(leaver.signal);
        if (i % 5 === 0) leaver.abort();
        const release = await permit.catch(() => undefined);
        if (!release) return 'refused';
        inside += 1;
        mostInside = Math.max(mostInside, inside);
        await null;
        inside -= 1;
        release();
        return 'served';
      }),
    );
    expect(mostInside).toBe(7);
    expect(outcomes.filter((outcome) => outcome === 'served').length).toBeGreaterThanOrEqual(500);
    expect(limiter).toMatchObject({ held: 0, waiting: 0 });
  });

  it.each([
    { name: 'limit', options: { limit: -1 }, says: 'limit must be a whole number of at least 0, got -1' },
    { name: 'limit', options: { limit: 1.5 }, says: 'limit must be a whole number of at least 0, got 1.5' },
    { name: 'limit', options: { limit: Number.NaN }, says: 'limit must be' },
    { name: 'queue', options: { limit: 1, queue: -1 }, says: 'queue must be' },
    { name: 'queue', options: { limit: 1, queue: Number.POSITIVE_INFINITY }, says: 'got Infinity' },
  ])('refuses $name: $options', ({ options, says }) => {
    expect(() => new Limiter(options)).toThrow(RangeError);
    expect(() => new Limiter(options)).toThrow(says);
  });
});
