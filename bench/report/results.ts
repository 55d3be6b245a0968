import type { Disturbance } from '../machine/disturbance.ts';
import type { Figures } from '../measure/measure.ts';
import { median, medianRatio } from './statistics.ts';

/** A figure that can be compared. */
export type Figure = keyof Figures;

/** The rounds of one subject, by contender, in the order of the table. A round's index is the same for all. */
export interface SubjectResult {
  readonly name: string;
  readonly title: string;
  readonly references: readonly string[];
  readonly rounds: ReadonlyMap<string, readonly Figures[]>;
  /** Contenders that are not installed. */
  readonly missing: readonly string[];
  /** What others took of the machine meanwhile. Left out where nothing is judged by it. */
  readonly disturbance?: Disturbance;
  /** The contender that is another's process, measured a second time in each round. */
  readonly control?: { readonly name: string; readonly of: string };
}

export function valuesOf(result: SubjectResult, contender: string, figure: Figure): number[] {
  return (result.rounds.get(contender) ?? []).map((figures) => figures[figure]);
}

/** The median over all rounds; NaN when the contender was not measured. */
export function medianOf(result: SubjectResult, contender: string, figure: Figure): number {
  return median(valuesOf(result, contender, figure));
}

/** The median of the ratios round by round; NaN when either was not measured. */
export function ratioOf(result: SubjectResult, contender: string, figure: Figure, other: string): number {
  return medianRatio(valuesOf(result, contender, figure), valuesOf(result, other, figure));
}
