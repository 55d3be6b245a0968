import { Counter, type Registry } from 'prom-client';

/** Between the values of a key: unlike a comma or a newline it stands in no name of a service or replica. */
const BETWEEN_VALUES = '\0';

/** The value every label gets once a metric has as many series as it may have. */
export const OVERFLOW = 'other';

export interface CappedCounterOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly maxSeries: number;
  readonly registry: Registry;
}

interface Series<Label extends string> {
  readonly labels: Record<Label, string>;
  value: number;
}

/**
 * A counter that costs one Map look-up per count and never grows past `maxSeries`: later label values are counted
 * under `other`. prom-client gets the sums when somebody scrapes.
 */
export class CappedCounter<Label extends string> {
  readonly #labels: readonly Label[];
  readonly #maxSeries: number;
  readonly #series = new Map<string, Series<Label>>();

  constructor({ name, help, labels, maxSeries, registry }: CappedCounterOptions<Label>) {
    this.#labels = labels;
    this.#maxSeries = maxSeries;
    const series = this.#series;
    new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels: values, value } of series.values()) this.inc(values, value);
      },
    });
  }

  /** Counts one under the label values, given in the order of `labels`. */
  count(...values: readonly string[]): void {
    this.countMany(1, ...values);
  }

  countMany(amount: number, ...values: readonly string[]): void {
    const key = values.join(BETWEEN_VALUES);
    const known = this.#series.get(key);
    if (known) known.value += amount;
    else this.#add(key, values, amount);
  }

  /** Drops every series whose labels have all of these values: what they stand for is gone. */
  forget(gone: Partial<Readonly<Record<Label, string>>>): void {
    const wanted = Object.entries(gone) as [Label, string][];
    for (const [key, { labels }] of this.#series) {
      if (wanted.every(([label, value]) => labels[label] === value)) this.#series.delete(key);
    }
  }

  #add(key: string, values: readonly string[], amount: number): void {
    const full = this.#series.size >= this.#maxSeries - 1;
    if (full && values.some((value) => value !== OVERFLOW)) {
      this.countMany(amount, ...values.map(() => OVERFLOW));
      return;
    }
    const entries = this.#labels.map((label, index) => [label, values[index]]);
    this.#series.set(key, { labels: Object.fromEntries(entries), value: amount });
  }
}
