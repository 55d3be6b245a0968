import type { ModeCost } from './pair.ts';

/** What came of one mode over all pairs. */
export interface ModeVerdict {
  readonly mode: string;
  /** Geometric means, in microseconds. */
  readonly beforeUs: number;
  readonly nowUs: number;
  readonly ratio: number;
  /** The 95 % interval of the ratio. */
  readonly low: number;
  readonly high: number;
  readonly outcome: 'dearer' | 'cheaper' | 'no change beyond the noise';
}

/** Two-sided 95 % quantiles of Student's t, by degrees of freedom from 1 on; later ones come close to the normal's. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086,
];
const T_95_BEYOND = 2.09;

/** Judges each mode. `atMost` is the ratio up to which nothing counts as dearer. Two pairs at least. */
export function judgePairs(pairs: readonly (readonly ModeCost[])[], atMost = 1): ModeVerdict[] {
  const modes = (pairs[0] ?? []).map(({ mode }) => mode);
  return modes.map((mode) =>
    verdictOn(
      mode,
      pairs.map((costs) => costOf(costs, mode)),
      atMost,
    ),
  );
}

function verdictOn(mode: string, costs: readonly ModeCost[], atMost: number): ModeVerdict {
  const logs = costs.map(({ beforeUs, nowUs }) => Math.log(nowUs / beforeUs));
  const mean = average(logs);
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const half = (T_95[logs.length - 2] ?? T_95_BEYOND) * Math.sqrt(variance / logs.length);
  const [low, high] = [Math.exp(mean - half), Math.exp(mean + half)];
  const outcome = low > atMost ? 'dearer' : high < 1 ? 'cheaper' : 'no change beyond the noise';
  return {
    mode,
    beforeUs: geometricMean(costs.map(({ beforeUs }) => beforeUs)),
    nowUs: geometricMean(costs.map(({ nowUs }) => nowUs)),
    ratio: Math.exp(mean),
    low,
    high,
    outcome,
  };
}

function costOf(costs: readonly ModeCost[], mode: string): ModeCost {
  const cost = costs.find((one) => one.mode === mode);
  if (!cost) throw new Error(`a pair did not measure ${mode}`);
  return cost;
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(average(values.map(Math.log)));
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
