import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { Guesses } from '../../../lib/admin/guesses.ts';
import { ManualClock } from '../../support/manualClock.ts';

const MINUTE_MS = 60_000;

function guessing() {
  const clock = new ManualClock();
  const guesses = new Guesses({ clock });
  const wrong = (address: string, times = 1) => {
    for (let n = 0; n < times; n += 1) guesses.wrong(address);
  };
  return { clock, guesses, wrong };
}

describe('guesses of a token', () => {
  it('are free five times, then wait twice as long each time, up to a minute', () => {
    const { clock, guesses, wrong } = guessing();
    const waits: number[] = [];
    for (let n = 0; n < 14; n += 1) {
      wrong('a');
      waits.push(guesses.waitMs('a') / 1000);
      clock.advance(guesses.waitMs('a'));
      expect(guesses.waitMs('a')).toBe(0);
    }
    expect(waits).toEqual([0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
  });

  it('wait for a minute at the most, however many there were', () => {
    const { guesses, wrong } = guessing();
    wrong('a', 5_000);
    expect(guesses.waitMs('a')).toBe(MINUTE_MS);
  });

  it('of one address are no concern of another', () => {
    const { guesses, wrong } = guessing();
    wrong('a', 50);
    expect(guesses.waitMs('b')).toBe(0);
  });

  it('begin anew after the right one, and after a quarter of an hour without any', () => {
    const { clock, guesses, wrong } = guessing();
    wrong('a', 4);
    guesses.right('a');
    wrong('a', 4);
    expect(guesses.waitMs('a')).toBe(0);
    clock.advance(15 * MINUTE_MS);
    wrong('a', 4);
    expect(guesses.waitMs('a')).toBe(0);
    wrong('a');
    expect(guesses.waitMs('a')).toBe(1_000);
  });

  it('of more addresses than are told apart share one place, and leave it with time', () => {
    const { clock, guesses, wrong } = guessing();
    for (let n = 0; n < 1_000; n += 1) wrong(`10.0.${n >> 8}.${n & 255}`);
    for (let n = 0; n < 5; n += 1) wrong(`10.9.9.${n}`);
    expect(guesses.waitMs('10.8.8.8')).toBe(1_000);
    expect(guesses.waitMs('10.0.0.1')).toBe(0);
    clock.advance(15 * MINUTE_MS);
    expect(guesses.waitMs('10.8.8.8')).toBe(0);
    wrong('10.8.8.8', 5);
    expect(guesses.waitMs('10.8.8.8')).toBe(1_000);
    expect(guesses.waitMs('10.8.8.9')).toBe(0);
  });

  it('keep less than 512 KiB, from however many addresses they come', () => {
    const { guesses, wrong } = guessing();
    const before = heapBytes();
    for (let n = 0; n < 100_000; n += 1)
      wrong(`2001:db8:${(n >> 16).toString(16)}:${(n & 65_535).toString(16)}::/64`);
    expect(heapBytes() - before).toBeLessThan(512 * 1024);
    expect(guesses.waitMs('anybody')).toBe(MINUTE_MS);
  });
});

function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  // Other files in this process are to begin without.
  setFlagsFromString('--no-expose-gc');
  return process.memoryUsage().heapUsed;
}
