import { describe, expect, it } from '@jest/globals';
import { Silence } from '../../../lib/proxy/response/silence.ts';
import { ManualClock } from '../../support/manualClock.ts';

const LIMIT_MS = 10_000;

function started() {
  const clock = new ManualClock();
  const silences: number[] = [];
  const silence = new Silence(clock, LIMIT_MS, () => silences.push(clock.ticks()));
  silence.start();
  return { clock, silence, silences };
}

describe('Silence', () => {
  it('tells once when nothing was heard for the whole limit', () => {
    const { clock, silence, silences } = started();
    clock.advance(LIMIT_MS - 1);
    silence.heard();
    clock.advance(LIMIT_MS - 1);
    expect(silences).toHaveLength(0);
    clock.advance(1);
    expect(silences).toHaveLength(1);
    clock.advance(10 * LIMIT_MS);
    expect(silences).toHaveLength(1);
  });

  it('has one timer however often it is started, and none once it is stopped', () => {
    const { clock, silence, silences } = started();
    for (let n = 0; n < 3; n += 1) {
      clock.advance(1_000);
      silence.start();
    }
    expect(clock.pending).toBe(1);
    silence.stop();
    expect(clock.pending).toBe(0);
    clock.advance(10 * LIMIT_MS);
    expect(silences).toHaveLength(0);
  });

  it('tells once after it was started twice', () => {
    const { clock, silence, silences } = started();
    silence.start();
    clock.advance(10 * LIMIT_MS);
    expect(silences).toHaveLength(1);
  });

  it('begins anew after a stop', () => {
    const { clock, silence, silences } = started();
    silence.stop();
    clock.advance(LIMIT_MS);
    silence.start();
    clock.advance(LIMIT_MS - 1);
    expect(silences).toHaveLength(0);
    clock.advance(1);
    expect(silences).toHaveLength(1);
  });
});
