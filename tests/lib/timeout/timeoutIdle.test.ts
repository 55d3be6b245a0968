import { describe, expect, it } from '@jest/globals';
import { IdleTimeout } from '../../../lib/timeout/idleTimeout.ts';
import { ManualClock } from '../../support/manualClock.ts';

const LIMIT_MS = 10_000;

function started() {
  const clock = new ManualClock();
  const idleAt: number[] = [];
  const idle = new IdleTimeout(clock, LIMIT_MS, () => idleAt.push(clock.ticks()));
  idle.start();
  return { clock, idle, idleAt };
}

describe('IdleTimeout', () => {
  it('tells once when nothing has happened for the whole limit', () => {
    const { clock, idle, idleAt } = started();
    clock.advance(LIMIT_MS - 1);
    idle.activity();
    clock.advance(LIMIT_MS - 1);
    expect(idleAt).toHaveLength(0);
    clock.advance(1);
    expect(idleAt).toHaveLength(1);
    clock.advance(10 * LIMIT_MS);
    expect(idleAt).toHaveLength(1);
  });

  it('tells not a millisecond early after something has happened in the first', () => {
    const { clock, idle, idleAt } = started();
    clock.advance(1);
    idle.activity();
    clock.advance(LIMIT_MS - 1);
    expect(idleAt).toEqual([]);
    clock.advance(1);
    expect(idleAt).toHaveLength(1);
  });

  it('has one timer however often it is started, and none once it is stopped', () => {
    const { clock, idle, idleAt } = started();
    for (let n = 0; n < 3; n += 1) {
      clock.advance(1_000);
      idle.start();
    }
    expect(clock.pending).toBe(1);
    idle.stop();
    expect(clock.pending).toBe(0);
    clock.advance(10 * LIMIT_MS);
    expect(idleAt).toHaveLength(0);
  });

  it('tells once after it was started twice', () => {
    const { clock, idle, idleAt } = started();
    idle.start();
    clock.advance(10 * LIMIT_MS);
    expect(idleAt).toHaveLength(1);
  });

  it('begins anew after a stop', () => {
    const { clock, idle, idleAt } = started();
    idle.stop();
    clock.advance(LIMIT_MS);
    idle.start();
    clock.advance(LIMIT_MS - 1);
    expect(idleAt).toHaveLength(0);
    clock.advance(1);
    expect(idleAt).toHaveLength(1);
  });
});
