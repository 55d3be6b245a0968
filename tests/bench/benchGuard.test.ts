import { describe, expect, it } from '@jest/globals';
import { checkOut } from '../../bench/guard/checkout.ts';
import { untilQuiet } from '../../bench/guard/quiet.ts';
import { judgePairs } from '../../bench/guard/verdict.ts';
import { disturbanceBetween, isDisturbed, machineTicks } from '../../bench/machine/disturbance.ts';

/** Pairs in which the gateway took 100 us before, and so much now. */
function pairs(...nowUs: number[]) {
  return nowUs.map((us) => [{ mode: 'hit', beforeUs: 100, nowUs: us }]);
}

describe('the verdict over pairs of processes', () => {
  it.each([
    { what: 'all pairs are dearer by much the same', nowUs: [105, 106, 104, 105], outcome: 'dearer' },
    { what: 'all pairs are cheaper by much the same', nowUs: [95, 94, 96, 95], outcome: 'cheaper' },
    { what: 'the mean is dearer, but within the noise', nowUs: [120, 90, 115, 95], outcome: /^no change/ },
    // With two pairs the interval is wide: t is 12.7.
    { what: 'two pairs are dearer, but not alike', nowUs: [105, 107], outcome: /^no change/ },
  ])('when $what', ({ nowUs, outcome }) => {
    expect(judgePairs(pairs(...nowUs))).toMatchObject([
      { mode: 'hit', outcome: typeof outcome === 'string' ? outcome : expect.stringMatching(outcome) },
    ]);
  });

  it('has the geometric mean and its interval by Student', () => {
    const [verdict] = judgePairs(pairs(110, 121, 110, 121));
    expect(verdict?.ratio).toBeCloseTo(1.1 * Math.sqrt(1.1), 10);
    expect(verdict?.nowUs).toBeCloseTo(110 * Math.sqrt(1.1), 8);
    // The logs are log 1.1 times 1, 2, 1, 2: standard error 0.5 / sqrt 3 of it, and t for 3 degrees is 3.182.
    const half = (3.182 * 0.5 * Math.log(1.1)) / Math.sqrt(3);
    expect(verdict?.high).toBeCloseTo(Math.exp(1.5 * Math.log(1.1) + half), 10);
    expect(verdict?.low).toBeCloseTo(Math.exp(1.5 * Math.log(1.1) - half), 10);
  });

  it('forgives what is below the ratio that is asked for', () => {
    expect(judgePairs(pairs(103, 104, 103), 1.05)[0]?.outcome).toMatch(/^no change/);
    expect(judgePairs(pairs(107, 108, 107), 1.05)[0]?.outcome).toBe('dearer');
  });
});

describe('a disturbed machine', () => {
  const stat = (user: number, idle: number, softIrq: number, stolen: number) =>
    machineTicks(`cpu  ${user} 0 0 ${idle} 0 0 ${softIrq} ${stolen} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n`);

  it.each([
    { what: 'nobody else', own: 50, after: stat(150, 250, 0, 0), others: 0, stolen: 0 },
    { what: 'another process', own: 50, after: stat(190, 210, 0, 0), others: 0.2, stolen: 0 },
    { what: 'the host', own: 50, after: stat(150, 240, 0, 10), others: 0, stolen: 0.05 },
    // Packets between our own processes are no disturbance.
    { what: 'interrupts', own: 50, after: stat(150, 210, 40, 0), others: 0, stolen: 0 },
  ])('is told from a quiet one: $what', ({ own, after, others, stolen }) => {
    const before = { ...stat(100, 100, 0, 0), own: 10 };
    const disturbance = disturbanceBetween(before, { ...after, own: 10 + own });
    expect(disturbance).toEqual({ others, stolen });
    expect(isDisturbed(disturbance)).toBe(others + stolen > 0);
  });

  it('is waited for, but not for ever', async () => {
    const looks = [0.5, 0.3, 0];
    const told: string[] = [];
    const look = async () => ({ others: looks.shift() ?? 1, stolen: 0 });
    expect(await untilQuiet(60_000, (line) => told.push(line), look)).toBe(true);
    expect(told).toEqual([expect.stringContaining('other processes took 50.0 %')]);
    expect(await untilQuiet(0, () => {}, look)).toBe(false);
  });
});

it('refuses a commit that there is not', () => {
  expect(() => checkOut('no-such-commit')).toThrow('git knows no commit "no-such-commit" here');
});
