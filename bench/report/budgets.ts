import { readFileSync } from 'node:fs';
import { described, isDisturbed } from '../machine/disturbance.ts';
import { type Figure, medianOf, ratioOf, type SubjectResult } from './results.ts';

/** A bound on a figure, or, with `of`, on its ratio to another contender's in the same rounds. */
export interface Budget {
  readonly subject: string;
  readonly contender: string;
  readonly figure: Figure;
  readonly of?: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Verdict {
  readonly budget: Budget;
  /** NaN when one of the two was not measured. */
  readonly value: number;
  /** `not judged`: the machine was disturbed, see `whyNotJudged`. */
  readonly outcome: 'kept' | 'missed' | 'not judged';
}

/** A process that is measured twice a round must cost the same both times, but for this part. */
const CONTROL_BOUND = 0.05;

export function readBudgets(): Budget[] {
  return JSON.parse(readFileSync(new URL('../budgets.json', import.meta.url), 'utf8'));
}

/** One verdict for each budget of a subject that was measured. What could not be compared was missed. */
export function judge(budgets: readonly Budget[], results: readonly SubjectResult[]): Verdict[] {
  return budgets.flatMap((budget) => {
    const result = results.find(({ name }) => name === budget.subject);
    return result ? [verdictOn(budget, result)] : [];
  });
}

/** What was wrong with the machine while a subject was measured; undefined when nothing was. */
export function whyNotJudged(result: SubjectResult): string | undefined {
  const { disturbance, control } = result;
  const reasons = disturbance && isDisturbed(disturbance) ? [described(disturbance)] : [];
  const itself = control ? ratioOf(result, control.name, 'cpuUs', control.of) : 1;
  if (Math.abs(itself - 1) > CONTROL_BOUND) {
    const bounds = `${1 - CONTROL_BOUND} to ${1 + CONTROL_BOUND}`;
    reasons.push(
      `${control?.of} cost ${itself.toFixed(2)} of itself when it was measured twice a round (${bounds})`,
    );
  }
  return reasons.length > 0 ? reasons.join('; ') : undefined;
}

function verdictOn(budget: Budget, result: SubjectResult): Verdict {
  const { contender, figure, of, atMost = Number.POSITIVE_INFINITY, atLeast = 0 } = budget;
  const value =
    of === undefined ? medianOf(result, contender, figure) : ratioOf(result, contender, figure, of);
  if (whyNotJudged(result) !== undefined) return { budget, value, outcome: 'not judged' };
  return { budget, value, outcome: value <= atMost && value >= atLeast ? 'kept' : 'missed' };
}
