import { EXIT_FAILED, tell } from '../../config/commandLine/run.ts';
import { described, isDisturbed } from '../machine/disturbance.ts';
import { aligned } from '../report/report.ts';
import { type PairOptions, type PairResult, runPair } from './pair.ts';
import { untilQuiet } from './quiet.ts';
import { judgePairs, type ModeVerdict } from './verdict.ts';

const EXIT_NOT_JUDGED = 3;
/** An interval takes two. */
const LEAST_PAIRS = 2;
const MINUTE_MS = 60_000;

export interface PairsOptions extends Omit<PairOptions, 'onProgress'> {
  readonly pairs: number;
  /** How long to wait at most before each pair while others keep the machine busy, in minutes. */
  readonly wait: number;
}

/** Measures pair after pair; closes the site. */
export async function measurePairs(options: Readonly<PairsOptions>): Promise<PairResult[]> {
  const results: PairResult[] = [];
  try {
    for (let number = 1; number <= options.pairs; number += 1) {
      await untilQuiet(options.wait * MINUTE_MS, tell);
      tell(`Pair ${number} of ${options.pairs}`);
      const startedAtMs = performance.now();
      const result = await runPair(number, { ...options, onProgress: tell });
      const took = ((performance.now() - startedAtMs) / 1000).toFixed(0);
      tell(`  took ${took} s; ${described(result.disturbance)}`);
      results.push(result);
    }
    return results;
  } finally {
    await options.site.close();
  }
}

/** What came of all pairs. */
export interface Judgement {
  readonly verdicts: readonly ModeVerdict[];
  readonly isJudged: boolean;
  /** For people: how many pairs, the table, and what keeps them from being judged. */
  readonly summary: string;
  /** 0, 1 when something is dearer, 3 when nothing could be judged. */
  readonly exitCode: number;
}

/** Judges all pairs that nobody disturbed. */
export function judge(results: readonly PairResult[], atMost: number): Judgement {
  const undisturbed = results.filter(({ disturbance }) => !isDisturbed(disturbance));
  const isJudged = undisturbed.length >= LEAST_PAIRS;
  // What cannot be judged is shown all the same.
  const shown = isJudged ? undisturbed : results;
  const verdicts = judgePairs(
    shown.map(({ costs }) => costs),
    atMost,
  );
  const lines = [`${shown.length} pairs\n\n${table(verdicts)}`];
  if (undisturbed.length < results.length)
    lines.push(
      `\n${results.length - undisturbed.length} of ${results.length} pairs were disturbed by others.`,
    );
  if (!isJudged) lines.push('Not judged: measure again on a quiet machine.');
  const isDearer = verdicts.some(({ outcome }) => outcome === 'dearer');
  const exitCode = !isJudged ? EXIT_NOT_JUDGED : isDearer ? EXIT_FAILED : 0;
  return { verdicts, isJudged, summary: lines.join('\n'), exitCode };
}

function table(verdicts: readonly ModeVerdict[]): string {
  const rows = verdicts.map(({ mode, beforeUs, nowUs, ratio, low, high, outcome }) => [
    mode,
    beforeUs.toFixed(1),
    nowUs.toFixed(1),
    ratio.toFixed(3),
    `${low.toFixed(3)} to ${high.toFixed(3)}`,
    outcome === 'dearer' ? 'DEARER' : outcome,
  ]);
  return aligned([['mode', 'us before', 'us now', 'ratio', '95 % interval', 'verdict'], ...rows]);
}
