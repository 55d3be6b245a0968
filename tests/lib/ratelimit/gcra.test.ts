import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LocalCounter } from '../../../lib/ratelimit/localCounter.ts';
import type { Rate } from '../../../lib/ratelimit/rate.ts';
import { cases } from '../../support/cases.ts';
import { ManualClock } from '../../support/manualClock.ts';

const rates = fc.record({
  requests: fc.integer({ min: 1, max: 1_000 }),
  windowMs: fc.integer({ min: 1, max: 3_600 }).map((seconds) => seconds * 1_000),
  burst: fc.integer({ min: 1, max: 100 }),
});

/** The algorithm as ITU-T I.371 writes it down, in fractions that are exact: times are in 1/requests of a millisecond. */
class Model {
  #arrivalDue = 0n;
  readonly #rate: Rate;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  admits(nowMs: number): boolean {
    const now = BigInt(nowMs) * BigInt(this.#rate.requests);
    const increment = BigInt(this.#rate.windowMs);
    const tolerance = increment * BigInt(this.#rate.burst - 1);
    const due = this.#arrivalDue > now ? this.#arrivalDue : now;
    if (due - now > tolerance) return false;
    this.#arrivalDue = due + increment;
    return true;
  }
}

/** Pauses between requests: many come at once, some after about the time of one, some after a long rest. */
function pausesFor({ requests, windowMs, burst }: Rate) {
  const oneMs = Math.ceil(windowMs / requests);
  const pause = fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 2 * oneMs }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * oneMs * burst }) },
  );
  return fc.array(pause, { minLength: 1, maxLength: 300 });
}

const traffic = rates.chain((rate) => fc.record({ rate: fc.constant(rate), pauses: pausesFor(rate) }));

describe('a bucket', () => {
  it('decides as the algorithm is written down, and says exactly when it will have room', () => {
    fc.assert(
      fc.property(traffic, ({ rate, pauses }) => {
        const clock = new ManualClock(1_000);
        const counter = new LocalCounter({ clock });
        const model = new Model(rate);
        for (const pause of pauses) {
          clock.advance(pause);
          const { refusedBy, retryAfterMs } = counter.take([{ key: 'ann', rate }]);
          expect(refusedBy === -1).toBe(model.admits(clock.ticks()));
          if (refusedBy === -1) continue;
          clock.advance(retryAfterMs - 1);
          expect(counter.take([{ key: 'ann', rate }]).refusedBy).toBe(0);
          clock.advance(1);
          expect(counter.take([{ key: 'ann', rate }]).refusedBy).toBe(-1);
          expect(model.admits(clock.ticks())).toBe(true);
        }
      }),
      cases(200),
    );
  });

  it('never admits more than the burst and what the rate gives, in any window', () => {
    fc.assert(
      fc.property(traffic, ({ rate, pauses }) => {
        const clock = new ManualClock(0);
        const counter = new LocalCounter({ clock });
        const asked = [{ key: 'ann', rate }];
        const admittedAt = pauses.flatMap((pause) => {
          clock.advance(pause);
          return counter.take(asked).refusedBy === -1 ? clock.ticks() : [];
        });
        for (const [from, begin] of admittedAt.entries()) {
          for (const [more, end] of admittedAt.slice(from).entries()) {
            const most = rate.burst + ((end - begin) * rate.requests) / rate.windowMs;
            expect(more + 1).toBeLessThanOrEqual(most + 1e-9);
          }
        }
      }),
      cases(100),
    );
  });

  it('is never short of what the rate gives for somebody who always asks', () => {
    fc.assert(
      // With a burst of 1 a bucket is empty whenever it has room, and the rest of a millisecond is lost.
      fc.property(rates, ({ requests, windowMs, ...rest }) => {
        const burst = rest.burst + 1;
        const clock = new ManualClock(0);
        const counter = new LocalCounter({ clock });
        const asked = [{ key: 'ann', rate: { requests, windowMs, burst } }];
        let admitted = 0;
        while (admitted < burst + 50) {
          const { refusedBy, retryAfterMs } = counter.take(asked);
          if (refusedBy === -1) admitted += 1;
          else {
            const given = burst + (clock.ticks() * requests) / windowMs;
            expect(admitted).toBeGreaterThan(given - 1 - 1e-9);
            clock.advance(retryAfterMs);
          }
        }
      }),
      cases(100),
    );
  });

  it('has the same number of requests in it under whatever rate it is looked at', () => {
    fc.assert(
      fc.property(fc.array(rates, { minLength: 1, maxLength: 20 }), (chosen) => {
        const counter = new LocalCounter({ clock: new ManualClock() });
        let used = 0;
        for (const rate of chosen) {
          const { refusedBy, standings } = counter.take([{ key: 'ann', rate }]);
          expect(refusedBy === -1).toBe(used < rate.burst);
          if (refusedBy === -1) used += 1;
          expect(standings[0]?.remaining).toBe(Math.max(0, rate.burst - used));
        }
      }),
      cases(200),
    );
  });
});
