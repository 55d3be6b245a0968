import { expect, it } from '@jest/globals';
import { Laps } from '../../../lib/exchange/laps.ts';
import { ManualClock } from '../../support/manualClock.ts';

it('each lap gets the time until the next begins, and all of them together the whole', () => {
  const clock = new ManualClock();
  const laps = new Laps(clock);
  clock.advance(1);
  laps.begin('permit');
  clock.advance(20);
  laps.begin('auth');
  clock.advance(300);
  laps.begin('upstream');
  clock.advance(4_000);
  expect(laps.read()).toBe(4_321);
  expect(laps).toMatchObject({ other: 1, permit: 20, auth: 300, upstream: 4_000 });
});

it('a lap that runs twice adds up', () => {
  const clock = new ManualClock();
  const laps = new Laps(clock);
  for (const ms of [10, 5]) {
    laps.begin('upstream');
    clock.advance(ms);
    laps.begin('answer');
    clock.advance(100);
  }
  laps.read();
  expect(laps).toMatchObject({ upstream: 15, answer: 200 });
});

it('a lap that never ran has no time', () => {
  const laps = new Laps(new ManualClock());
  laps.read();
  expect(laps).toMatchObject({
    permit: Number.NaN,
    auth: Number.NaN,
    cache: Number.NaN,
    upstream: Number.NaN,
  });
});

it('what is read goes on running', () => {
  const clock = new ManualClock();
  const laps = new Laps(clock);
  laps.begin('cache');
  clock.advance(7);
  expect([laps.read(), laps.cache]).toEqual([7, 7]);
  clock.advance(3);
  expect([laps.read(), laps.cache]).toEqual([10, 10]);
});
