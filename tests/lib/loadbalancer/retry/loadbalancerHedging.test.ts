import { beforeEach, describe, expect, it } from '@jest/globals';
import { Attempt } from '../../../../lib/exchange/attempt.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { Hedging } from '../../../../lib/loadbalancer/retry/hedging.ts';
import { Hedgings } from '../../../../lib/loadbalancer/retry/hedgings.ts';
import { RetryBudget } from '../../../../lib/loadbalancer/retry/retryBudget.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const DEADLINE_MS = 3000;
const NEVER = Number.POSITIVE_INFINITY;
const AGAIN_MS = 300;

describe('Hedging', () => {
  let clock: ManualClock;
  let a: Replica;
  let b: Replica;
  let pool: ReplicaPool;
  let budget: RetryBudget;
  let hedging: Hedging;

  beforeEach(() => {
    clock = new ManualClock();
    a = Replica.at('http://a');
    b = Replica.at('http://b');
    pool = new ReplicaPool({ service: '/x', replicas: [a, b], clock });
    budget = new RetryBudget({ perRequest: 0, reserve: 2 });
    hedging = new Hedging({ pool, deadlineMs: DEADLINE_MS, budget, clock });
  });

  /** A try at `a` that began so long ago. */
  function waiting(forMs: number): Attempt {
    return new Attempt(a, { startedAtMs: clock.ticks() - forMs });
  }

  function responses(...afterMs: readonly number[]): void {
    for (const ms of afterMs) hedging.responded(ms);
  }

  describe('sends a request to another replica', () => {
    it('that has waited for half of its deadline, while its replica responds to nobody', () => {
      responses(10);
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(0);
    });

    it('never to one with the weight 0, which gets nothing while another lives', () => {
      pool = new ReplicaPool({ service: '/x', replicas: [a, b], weights: { 'http://b': 0 }, clock });
      hedging = new Hedging({ pool, deadlineMs: DEADLINE_MS, budget, clock });
      responses(10);
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(AGAIN_MS);
    });

    it('not before', () => {
      responses(10);
      expect(hedging.delayMs(waiting(1499), 1501)).toBe(1);
    });

    it('later, when 95 % of the recent responses took longer', () => {
      responses(10, 10, 2000);
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(500);
      expect(hedging.delayMs(waiting(2000), 1000)).toBe(0);
    });

    it('counting from when its replica responded to somebody', () => {
      responses(10);
      a.heardAtMs = clock.ticks() - 200;
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(1300);
    });

    it('never, when half of the recent responses took longer than the time that is left', () => {
      responses(2400, 2400, 10);
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(NEVER);
    });

    it('never, as long as nobody knows how long the service takes', () => {
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(NEVER);
    });

    it('not to one that is as silent, but looks again', () => {
      responses(10);
      pool.take((replica) => replica === b);
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(AGAIN_MS);
      b.heardAtMs = clock.ticks() - 1;
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(0);
    });

    it('not to one whose latest response took longer than the time that is left', () => {
      responses(10, 10, 10);
      b.heardAtMs = clock.ticks() - 1;
      b.tookMs = 1501;
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(AGAIN_MS);
      b.tookMs = 1500;
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(0);
    });

    it('not when there is no other, and does not pay for that', () => {
      responses(10);
      pool.admit('b', 'none');
      for (let i = 0; i < 5; i += 1) expect(hedging.delayMs(waiting(1500), 1500)).toBe(AGAIN_MS);
      pool.admit('b', 'all');
      expect(hedging.delayMs(waiting(1500), 1500)).toBe(0);
    });

    it('within its budget', () => {
      responses(10);
      expect(Array.from({ length: 3 }, () => hedging.delayMs(waiting(1500), 1500))).toEqual([0, 0, AGAIN_MS]);
    });
  });

  it('has a budget of five for a hundred requests and ten besides, by default', () => {
    hedging = new Hedging({ pool, deadlineMs: DEADLINE_MS, clock });
    responses(10);
    const hedged = () => {
      let count = 0;
      while (hedging.delayMs(waiting(1500), 1500) === 0) count += 1;
      return count;
    };
    expect(hedged()).toBe(10);
    for (let i = 0; i < 101; i += 1) hedging.enter({ sinceMs: 0, onOver() {} }).leave();
    expect(hedged()).toBe(5);
  });

  describe('its timer', () => {
    it('tells each request that still waits after half of the deadline, the oldest first', () => {
      const told: string[] = [];
      const enter = (name: string) => {
        const place = hedging.enter({
          sinceMs: clock.ticks(),
          onOver() {
            told.push(`${name} ${clock.ticks() - startedMs}`);
            place.leave();
          },
        });
        return place;
      };
      const startedMs = clock.ticks();
      enter('first');
      clock.advance(100);
      enter('left').leave();
      enter('second');
      clock.advance(5000);
      expect(told).toEqual(['first 1500', 'second 1600']);
    });

    it('is one for all, and gone once nobody waits', () => {
      const places = Array.from({ length: 1000 }, () =>
        hedging.enter({ sinceMs: clock.ticks(), onOver() {} }),
      );
      expect(clock.pending).toBe(1);
      for (const place of places) place.leave();
      clock.advance(1500);
      expect(clock.pending).toBe(0);
    });

    it('is gone after dispose', () => {
      hedging.enter({ sinceMs: clock.ticks(), onOver() {} });
      hedging.dispose();
      expect(clock.pending).toBe(0);
    });
  });
});

describe('the hedging of one service', () => {
  it('is one for each deadline, with one budget', () => {
    const clock = new ManualClock();
    const [a, b] = [Replica.at('http://a'), Replica.at('http://b')];
    const hedgings = new Hedgings({
      pool: new ReplicaPool({ service: '/x', replicas: [a, b], clock }),
      clock,
    });
    const [short, long] = [hedgings.within(DEADLINE_MS), hedgings.within(40 * DEADLINE_MS)];
    expect(hedgings.within(DEADLINE_MS)).toBe(short);
    const waiting = (forMs: number) => new Attempt(a, { startedAtMs: clock.ticks() - forMs });
    short.responded(10);
    long.responded(30_000);
    // What is given two minutes, and takes half of one, is no measure for the rest, nor is that for it.
    expect(long.delayMs(waiting(DEADLINE_MS / 2), 39 * DEADLINE_MS)).toBe(19.5 * DEADLINE_MS);
    expect(short.delayMs(waiting(DEADLINE_MS / 2), DEADLINE_MS / 2)).toBe(0);
    for (let n = 1; n < 10; n += 1) expect(long.delayMs(waiting(20 * DEADLINE_MS), 20 * DEADLINE_MS)).toBe(0);
    expect(short.delayMs(waiting(DEADLINE_MS / 2), DEADLINE_MS / 2)).toBe(AGAIN_MS);
    hedgings.dispose();
  });
});
