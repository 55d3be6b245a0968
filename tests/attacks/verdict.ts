import { median } from '../../bench/report/statistics.ts';
import type { Trial } from './trial.ts';

/** How much longer than beside harmless requests the other user's slowest hundredth may take. */
const MAX_RATIO = 1.5;
/** Differences below this are the machine's. */
const MIN_DIFFERENCE_MS = 3;
/** Stored responses that may be lost beside those that harmless requests cost, as part of all that were asked for. */
const MAX_LOST_HITS = 0.05;
const MIB = 1024 ** 2;
/** What an attacker may fill, as SECURITY.md lists it, and what is allowed beside it. */
const MAX_RSS_BYTES = (128 + 64) * MIB;

/** One harmless and one attacked run, next to each other in time. */
export interface Pair {
  readonly harmless: Trial;
  readonly attack: Trial;
}

export interface Verdict {
  readonly harmlessP99Ms: number;
  readonly attackP99Ms: number;
  /** Median over the pairs. */
  readonly ratio: number;
  readonly rssGrowthBytes: number;
  /** What speaks against the gateway; empty when nothing does. */
  readonly complaints: readonly string[];
}

export function judge(pairs: readonly Pair[]): Verdict {
  const of = (mode: keyof Pair, figure: 'p99Ms' | 'peakRssBytes' | 'hitRatio') =>
    median(pairs.map((pair) => pair[mode][figure]));
  const [harmlessP99Ms, attackP99Ms] = [of('harmless', 'p99Ms'), of('attack', 'p99Ms')];
  const ratio = median(pairs.map(({ harmless, attack }) => attack.p99Ms / harmless.p99Ms));
  const rssGrowthBytes = of('attack', 'peakRssBytes') - of('harmless', 'peakRssBytes');
  const lostHits = of('harmless', 'hitRatio') - of('attack', 'hitRatio');
  const failures = pairs.flatMap(({ attack }) => attack.failures);
  const complaints = [
    ...failures.map((failure) => `failed: ${failure}`),
    ...(ratio > MAX_RATIO && attackP99Ms - harmlessP99Ms > MIN_DIFFERENCE_MS
      ? [`p99 is ${ratio.toFixed(2)} times that beside harmless requests`]
      : []),
    ...(lostHits > MAX_LOST_HITS ? [`${(100 * lostHits).toFixed(0)} % of its hits are lost`] : []),
    ...(rssGrowthBytes > MAX_RSS_BYTES
      ? [`the gateway takes ${(rssGrowthBytes / MIB).toFixed(0)} MiB more`]
      : []),
  ];
  return { harmlessP99Ms, attackP99Ms, ratio, rssGrowthBytes, complaints };
}
