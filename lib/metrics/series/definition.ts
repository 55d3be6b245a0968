import type { CappedCounter } from './counter.ts';
import type { CappedGaugeOptions } from './gauge.ts';

/** What a counter is called, what it is counted by, and what Prometheus says of it. */
export interface CounterDefinition {
  readonly name: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** A gauge, and where it reads its values when somebody scrapes. */
export type GaugeDefinition = Omit<CappedGaugeOptions<string>, 'maxSeries' | 'registry'>;

/** One row of a table of counters. */
export function counter(name: string, labels: readonly string[], help: string): CounterDefinition {
  return { name, labels, help };
}

/** A counter for each row of a table. */
export type CountersOf<Table extends Readonly<Record<string, CounterDefinition>>> = {
  readonly [Field in keyof Table]: CappedCounter<string>;
};
