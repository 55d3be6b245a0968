import { expect, it } from '@jest/globals';
import { Phases } from '../../../lib/exchange/phases.ts';
import { ManualClock } from '../../support/manualClock.ts';

it('each phase gets the time until the next begins, and all of them together the whole', () => {
  const clock = new ManualClock();
  const phases = new Phases(clock);
  clock.advance(1);
  phases.begin('permit');
  clock.advance(20);
  phases.begin('auth');
  clock.advance(300);
  phases.begin('upstream');
  clock.advance(4_000);
  expect(phases.read()).toBe(4_321);
  expect(phases).toMatchObject({ other: 1, permit: 20, auth: 300, upstream: 4_000 });
});

it('a phase that runs twice adds up', () => {
  const clock = new ManualClock();
  const phases = new Phases(clock);
  for (const ms of [10, 5]) {
    phases.begin('upstream');
    clock.advance(ms);
    phases.begin('response');
    clock.advance(100);
  }
  phases.read();
  expect(phases).toMatchObject({ upstream: 15, response: 200 });
});

it('a phase that never ran has no time', () => {
  const phases = new Phases(new ManualClock());
  phases.read();
  expect(phases).toMatchObject({
    permit: Number.NaN,
    auth: Number.NaN,
    cache: Number.NaN,
    upstream: Number.NaN,
  });
});

it('what is read goes on running', () => {
  const clock = new ManualClock();
  const phases = new Phases(clock);
  phases.begin('cache');
  clock.advance(7);
  expect([phases.read(), phases.cache]).toEqual([7, 7]);
  clock.advance(3);
  expect([phases.read(), phases.cache]).toEqual([10, 10]);
});
