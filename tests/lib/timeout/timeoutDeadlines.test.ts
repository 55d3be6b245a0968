import { expect, it } from '@jest/globals';
import { Deadlines } from '../../../lib/timeout/deadlines.ts';
import type { Place } from '../../../lib/util/linkedSet.ts';
import { ManualClock } from '../../support/manualClock.ts';

const DELAY_MS = 100;

/** Enters `who` and notes when it is called. */
function site() {
  const clock = new ManualClock(0);
  const deadlines = new Deadlines(DELAY_MS, clock);
  const called: string[] = [];
  const enter = (who: string) => deadlines.enterNow(() => called.push(`${who} at ${clock.now()}`));
  return { clock, deadlines, called, enter };
}

it('calls each when its own time is over, by one timer', () => {
  const { clock, called, enter } = site();
  enter('ann');
  clock.advance(30);
  enter('bob');
  enter('eve');
  expect(clock.pending).toBe(1);
  clock.advance(DELAY_MS - 31);
  expect(called).toEqual([]);
  clock.advance(1);
  expect(called).toEqual(['ann at 100']);
  clock.advance(DELAY_MS);
  expect(called).toEqual(['ann at 100', 'bob at 130', 'eve at 130']);
  expect(clock.pending).toBe(0);
});

it('does not call who has left, nor delays who stays, and sets no timer for nobody', () => {
  const { clock, called, enter } = site();
  const leaves = enter('ann');
  clock.advance(30);
  const staysNot = enter('bob');
  leaves.leave();
  leaves.leave();
  clock.advance(DELAY_MS - 1);
  expect(called).toEqual([]);
  clock.advance(1);
  expect(called).toEqual(['bob at 130']);
  staysNot.leave();
  enter('eve').leave();
  // The one that was set is left to run out: to clear it and set it anew takes longer than all else about a deadline.
  clock.advance(DELAY_MS);
  expect(called).toEqual(['bob at 130']);
  expect(clock.pending).toBe(0);
});

it('takes who enters, and lets go who leaves, while others are called', () => {
  const { clock, called, deadlines, enter } = site();
  let eve: Place | undefined;
  deadlines.enterNow(() => {
    eve?.leave();
    enter('zoe');
  });
  eve = enter('eve');
  clock.advance(2 * DELAY_MS);
  expect(called).toEqual(['zoe at 200']);
  expect(clock.pending).toBe(0);
});
