import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import {
  isPermit,
  type Permit,
  type Permits,
  type PermitsOptions,
  type Refusal,
} from '../../../lib/concurrency/permits.ts';
import { Semaphore } from '../../../lib/concurrency/semaphore.ts';
import { SharedSemaphore } from '../../../lib/threads/concurrency/sharedSemaphore.ts';
import { alone } from '../../../lib/threads/ownCells.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { ManualClock } from '../../support/manualClock.ts';

const NEVER = new AbortController().signal;
/** With this one no two callers of these tests share a slot. */
const SEED = 1;

interface Variant {
  readonly name: string;
  make(options: PermitsOptions, clock?: ManualClock): Permits;
}

const variants: Variant[] = [
  { name: 'Semaphore', make: (options, clock) => new Semaphore({ ...options, clock }) },
  {
    name: 'SharedSemaphore, alone',
    make: (options, clock) => {
      const share = alone(SharedSemaphore.sizeFor(options)(1));
      return new SharedSemaphore({ ...options, share, clock, seed: SEED });
    },
  },
  {
    name: 'SharedSemaphore, one of four threads',
    make: (options, clock) => {
      const threadCount = 4;
      const cells = new SharedCells(SharedCells.allocate(SharedSemaphore.sizeFor(options)(threadCount)), 2);
      return new SharedSemaphore({
        ...options,
        share: { cells, threadNumber: 2, threadCount },
        clock,
        seed: SEED,
      });
    },
  },
];

function granted(given: Permit | Refusal): Permit {
  if (!isPermit(given)) throw new Error(`expected a permit, got ${given}`);
  return given;
}

describe.each(variants)('$name', ({ make }) => {
  /** One permit, which is taken, and room for `queue` callers to wait. */
  function busy(queue: number): { permits: Permits; first: Permit } {
    const permits = make({ limit: 1, queue });
    return { permits, first: granted(permits.tryAcquire()) };
  }

  it('hands out as many permits as its limit', () => {
    const permits = make({ limit: 3 });
    expect([1, 2, 3, 4].map(() => isPermit(permits.tryAcquire()))).toEqual([true, true, true, false]);
    expect(permits.held).toBe(3);
  });

  it('hands out a permit that was given back', () => {
    const { permits, first } = busy(0);
    first.release();
    expect(permits.held).toBe(0);
    granted(permits.tryAcquire());
  });

  it('takes a permit back once, however often it is released', () => {
    const permits = make({ limit: 2 });
    const permit = granted(permits.tryAcquire());
    permits.tryAcquire();
    permit.release();
    permit.release();
    expect(permits.held).toBe(1);
  });

  it('with limit 0 refuses everybody', async () => {
    const permits = make({ limit: 0 });
    expect(permits.tryAcquire()).toBe('full');
    expect(await permits.acquire(NEVER)).toBe('full');
  });

  it('without a queue refuses at once', async () => {
    const { permits } = busy(0);
    expect(await permits.acquire(NEVER)).toBe('full');
    expect(permits.waiting).toBe(0);
  });

  it('serves its queue first come, first served', async () => {
    const { permits, first } = busy(3);
    const served: string[] = [];
    const visits = ['a', 'b', 'c'].map(async (name) => {
      const permit = granted(await permits.acquire(NEVER));
      served.push(name);
      permit.release();
    });
    expect(permits.waiting).toBe(3);
    first.release();
    await Promise.all(visits);
    expect(served).toEqual(['a', 'b', 'c']);
    expect(permits.held).toBe(0);
  });

  it('refuses when the queue is full too', async () => {
    const { permits } = busy(1);
    const waiting = permits.acquire(AbortSignal.timeout(0)).catch(() => 'gave up');
    expect(await permits.acquire(NEVER)).toBe('full');
    expect(await waiting).toBe('gave up');
  });

  it('never lets a newcomer overtake the queue', async () => {
    const { permits, first } = busy(1);
    const next = permits.acquire(NEVER);
    first.release();
    expect(permits.tryAcquire()).toBe('full');
    granted(await next);
  });

  it('does not count a second release against whoever got the permit', async () => {
    const { permits, first } = busy(1);
    const next = permits.acquire(NEVER);
    first.release();
    first.release();
    await next;
    expect(permits.held).toBe(1);
    expect(permits.tryAcquire()).toBe('full');
  });

  it('rejects a caller whose signal was aborted before', async () => {
    const permits = make({ limit: 1 });
    const reason = new Error('left');
    await expect(permits.acquire(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(permits.held).toBe(0);
  });

  // The place is free at once: not when its turn comes and finds it gone.
  it('frees the place of a caller who leaves the queue', async () => {
    const { permits, first } = busy(1);
    const leaver = new AbortController();
    const left = permits.acquire(leaver.signal);
    const reason = new Error('left');
    leaver.abort(reason);
    expect(permits.waiting).toBe(0);
    await expect(left).rejects.toBe(reason);

    const next = permits.acquire(NEVER);
    first.release();
    granted(await next);
    expect(permits.held).toBe(1);
  });

  it('skips a caller who has left in the middle of the queue', async () => {
    const { permits, first } = busy(3);
    const leaver = new AbortController();
    const second = permits.acquire(NEVER);
    const left = permits.acquire(leaver.signal).catch(() => 'left');
    const last = permits.acquire(NEVER);
    leaver.abort();
    first.release();
    granted(await second).release();
    expect(await left).toBe('left');
    granted(await last);
  });

  it('does not leak abort listeners', async () => {
    const { permits, first } = busy(2);
    const served = new AbortController();
    const leaver = new AbortController();
    const waits = [permits.acquire(served.signal), permits.acquire(leaver.signal).catch(() => {})];
    expect(getEventListeners(served.signal, 'abort')).toHaveLength(1);
    first.release();
    leaver.abort();
    await Promise.all(waits);
    expect(getEventListeners(served.signal, 'abort')).toHaveLength(0);
    expect(getEventListeners(leaver.signal, 'abort')).toHaveLength(0);
  });

  it.each([1, 0.5])(
    'never hands out more permits than its limit, with a fair share of %d',
    async (fairShare) => {
      const permits = make({ limit: 7, queue: 500, fairShare });
      let inside = 0;
      let mostInside = 0;
      const outcomes = await Promise.all(
        Array.from({ length: 1_000 }, async (_, i) => {
          const leaver = new AbortController();
          const waits = permits.acquire(leaver.signal, `caller ${i % 3}`);
          if (i % 5 === 0) leaver.abort();
          const permit = await waits.catch(() => undefined);
          if (!permit || !isPermit(permit)) return 'refused';
          inside += 1;
          mostInside = Math.max(mostInside, inside);
          await null;
          inside -= 1;
          permit.release();
          return 'served';
        }),
      );
      expect(mostInside).toBe(7);
      expect(outcomes.filter((outcome) => outcome === 'served').length).toBeGreaterThanOrEqual(400);
      expect(permits).toMatchObject({ held: 0, waiting: 0 });
    },
  );

  it.each([
    { options: { limit: -1 }, says: 'limit must be a whole number of at least 0, got -1' },
    { options: { limit: 1.5 }, says: 'limit must be a whole number of at least 0, got 1.5' },
    { options: { limit: Number.NaN }, says: 'limit must be' },
    { options: { limit: 1, queue: -1 }, says: 'queue must be' },
    { options: { limit: 1, queue: Number.POSITIVE_INFINITY }, says: 'got Infinity' },
    { options: { limit: 1, fairShare: 1.1 }, says: 'fairShare must be a number from 0 to 1, got 1.1' },
    { options: { limit: 1, fairShare: -1 }, says: 'fairShare must be' },
  ])('refuses $options', ({ options, says }) => {
    const share = alone({ whole: 10_000 });
    const build = () =>
      make({ limit: 1 }) instanceof Semaphore
        ? new Semaphore(options)
        : new SharedSemaphore({ ...options, share });
    expect(build).toThrow(RangeError);
    expect(build).toThrow(says);
  });

  describe('with a fair share', () => {
    const FAIR = { limit: 10, fairShare: 0.8 };

    function hold(permits: Permits, caller: string, count: number): (Permit | Refusal)[] {
      return Array.from({ length: count }, () => permits.tryAcquire(caller));
    }

    it('where it keeps room, lets a caller who is alone have no more than its share', () => {
      const permits = make({ limit: 5, fairShare: 0.8, keepsRoom: true });
      const all = [1, 2, 3, 4, 5].map(() => permits.tryAcquire('ann'));
      expect(all.map(isPermit)).toEqual([true, true, true, true, false]);
      expect(isPermit(permits.tryAcquire('bob'))).toBe(true);
    });

    it('lets a caller who is alone have all permits', () => {
      const permits = make(FAIR);
      expect(hold(permits, 'a', 12).filter(isPermit)).toHaveLength(10);
      expect(permits.tryAcquire('a')).toBe('full');
    });

    it('leaves one caller no more than its share once another has asked', () => {
      const permits = make(FAIR);
      const held = hold(permits, 'greedy', 10).map(granted);
      expect(permits.tryAcquire('other')).toBe('full');
      held[0]?.release();
      expect(permits.tryAcquire('greedy')).toBe('share');
      granted(permits.tryAcquire('other'));
      for (const permit of held) permit.release();
      expect(hold(permits, 'greedy', 10).filter(isPermit)).toHaveLength(8);
      granted(permits.tryAcquire('other'));
      expect(permits.tryAcquire('third')).toBe('full');
    });

    it('lets the caller have everything again when nobody else has asked for a while', () => {
      const clock = new ManualClock();
      const permits = make(FAIR, clock);
      const other = granted(permits.tryAcquire('other'));
      other.release();
      clock.advance(9_000);
      hold(permits, 'greedy', 8);
      expect(permits.tryAcquire('greedy')).toBe('share');
      clock.advance(2_500);
      expect(hold(permits, 'greedy', 3).filter(isPermit)).toHaveLength(2);
      expect(permits.tryAcquire('greedy')).toBe('full');
    });

    it('goes by the time that it is given, and reads the clock where it is given none', () => {
      const clock = new ManualClock();
      const longAgoMs = clock.ticks();
      clock.advance(60_000);
      const permits = make(FAIR, clock);
      granted(permits.tryAcquire('other', 'other', longAgoMs)).release();
      expect(hold(permits, 'greedy', 10).filter(isPermit)).toHaveLength(10);
      permits.tryAcquire('other');
      expect(permits.tryAcquire('greedy')).toBe('share');
    });

    it('remembers who else has asked, whoever of them asked last', () => {
      const clock = new ManualClock();
      const permits = make(FAIR, clock);
      granted(permits.tryAcquire('other')).release();
      for (let second = 0; second < 9; second += 1) {
        clock.advance(1_000);
        granted(permits.tryAcquire('greedy')).release();
      }
      expect(hold(permits, 'greedy', 10).filter(isPermit)).toHaveLength(8);
    });

    it('always leaves a caller one permit', () => {
      const permits = make({ limit: 3, fairShare: 0 });
      granted(permits.tryAcquire('a'));
      granted(permits.tryAcquire('b'));
      expect(permits.tryAcquire('a')).toBe('share');
      granted(permits.tryAcquire('c'));
    });

    it('takes several callers behind one name for several that ask', () => {
      const permits = make(FAIR);
      const first = hold(permits, 'address', 1).map(granted);
      expect(isPermit(permits.tryAcquire('address', 'token of a'))).toBe(true);
      hold(permits, 'address', 6);
      expect(permits.tryAcquire('address', 'token of b')).toBe('share');
      first[0]?.release();
      granted(permits.tryAcquire('address', 'token of b'));
    });

    it('counts a permit for whom it was transferred to', () => {
      const permits = make(FAIR);
      const held = Array.from({ length: 8 }, () => granted(permits.tryAcquire('address', 'x')));
      granted(permits.tryAcquire('other'));
      expect(permits.tryAcquire('address', 'x')).toBe('share');
      for (const permit of held) expect(permit.transfer('x')).toBe(true);
      const next = granted(permits.tryAcquire('address', 'x'));
      expect(next.transfer('x')).toBe(false);
      expect(permits.held).toBe(10);
      next.release();
      held[0]?.release();
      expect(granted(permits.tryAcquire('address', 'x')).transfer('x')).toBe(true);
    });

    it('transfers nothing after the permit was given back', () => {
      const permits = make({ limit: 2, fairShare: 0.5 });
      granted(permits.tryAcquire('other'));
      const permit = granted(permits.tryAcquire('a'));
      permit.release();
      expect(permit.transfer('b')).toBe(true);
      granted(permits.tryAcquire('b'));
      expect(permits.held).toBe(2);
    });

    it('passes over a waiting caller who has its share, and comes back to it', async () => {
      const permits = make({ limit: 2, queue: 10, fairShare: 0.5 });
      const other = granted(permits.tryAcquire('other'));
      const greedy = granted(permits.tryAcquire('greedy'));
      const served: string[] = [];
      const wait = async (caller: string) => {
        const permit = granted(await permits.acquire(NEVER, caller));
        served.push(caller);
        return permit;
      };
      const again = wait('greedy');
      const third = wait('third');
      other.release();
      await third;
      expect(served).toEqual(['third']);
      greedy.release();
      (await again).release();
      expect(served).toEqual(['third', 'greedy']);
    });

    it('lets a waiting caller in when its permits are counted for another', async () => {
      const permits = make({ limit: 3, queue: 10, fairShare: 0.5 });
      granted(permits.tryAcquire('other'));
      const first = granted(permits.tryAcquire('address'));
      const waits = permits.acquire(NEVER, 'address');
      expect(permits.waiting).toBe(1);
      first.transfer('identity');
      granted(await waits);
      expect(permits).toMatchObject({ held: 3, waiting: 0 });
    });

    it('leaves one caller no more than its share of the queue', async () => {
      const permits = make({ limit: 2, queue: 5, fairShare: 0.5 });
      granted(permits.tryAcquire('other'));
      granted(permits.tryAcquire('greedy'));
      const leaver = new AbortController();
      const waiting = [1, 2].map(() => permits.acquire(leaver.signal, 'greedy').catch(() => 'left'));
      expect(await permits.acquire(NEVER, 'greedy')).toBe('share');
      expect(permits.waiting).toBe(2);
      const another = permits.acquire(leaver.signal, 'third').catch(() => 'left');
      expect(permits.waiting).toBe(3);
      leaver.abort();
      expect(await Promise.all([...waiting, another])).toEqual(['left', 'left', 'left']);
      expect(permits.waiting).toBe(0);
    });
  });
});
