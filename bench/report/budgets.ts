import { readFileSync } from 'node:fs';
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
  readonly kept: boolean;
}

export function readBudgets(): Budget[] {
  return JSON.parse(readFileSync(new URL('../budgets.json', import.meta.url), 'utf8'));
}

/** One verdict for each budget of a subject that was measured. What could not be compared was not kept. */
export function judge(budgets: readonly Budget[], results: readonly SubjectResult[]): Verdict[] {
  return budgets.flatMap((budget) => {
    const result = results.find(({ name }) => name === budget.subject);
    return result ? [verdictOn(budget, result)] : [];
  });
}

function verdictOn(budget: Budget, result: SubjectResult): Verdict {
  const { contender, figure, of, atMost = Number.POSITIVE_INFINITY, atLeast = 0 } = budget;
  const value =
    of === undefined ? medianOf(result, contender, figure) : ratioOf(result, contender, figure, of);
  return { budget, value, kept: value <= atMost && value >= atLeast };
}
