import { Counter, type Registry } from 'prom-client';
import { fold, isFolded, type LabelValues, type ListSeries } from './series.ts';
import { SeriesIndex } from './seriesIndex.ts';

export interface CappedCounterOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly maxSeries: number;
  readonly registry: Registry;
  /** Series that are shown as 0 before anything was counted; asked at every scrape. */
  readonly listSeries?: ListSeries;
}

interface Series<Label extends string> {
  readonly values: LabelValues;
  readonly labels: Record<Label, string>;
  value: number;
}

/**
 * A counter that costs one Map look-up per label and never grows past `maxSeries`: later label values are counted
 * under `other`. prom-client gets the sums when somebody scrapes.
 */
export class CappedCounter<Label extends string> {
  readonly name: string;
  readonly #labels: readonly Label[];
  readonly #maxSeries: number;
  readonly #listSeries: ListSeries;
  readonly #series = new Set<Series<Label>>();
  readonly #index = new SeriesIndex<Series<Label>>();
  #folded = 0;

  constructor({
    name,
    help,
    labels,
    maxSeries,
    registry,
    listSeries = () => [],
  }: CappedCounterOptions<Label>) {
    this.name = name;
    this.#labels = labels;
    this.#maxSeries = maxSeries;
    this.#listSeries = listSeries;
    const series = this.#series;
    const begin = () => this.#beginListed();
    new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      collect() {
        begin();
        this.reset();
        for (const { labels: values, value } of series) this.inc(values, value);
      },
    });
  }

  /** How often something was counted under `other` for want of room. */
  get folded(): number {
    return this.#folded;
  }

  /** Counts one under the label values, given in the order of `labels`. */
  count(...values: LabelValues): void {
    const known = this.#index.get(values);
    if (known) known.value += 1;
    else this.#countNew(1, values);
  }

  countMany(amount: number, ...values: LabelValues): void {
    const known = this.#index.get(values);
    if (known) known.value += amount;
    else this.#countNew(amount, values);
  }

  /** Drops every series whose labels have all of these values: what they stand for is gone. */
  forget(gone: Readonly<Record<string, string>>): void {
    const wanted = Object.entries(gone) as [Label, string][];
    for (const series of this.#series) {
      if (wanted.every(([label, value]) => series.labels[label] === value)) this.#series.delete(series);
    }
    // Rebuilt from those that stay: it would otherwise keep a branch for every replica there ever was.
    this.#index.clear();
    for (const series of this.#series) this.#index.set(series.values, series);
  }

  #countNew(amount: number, values: LabelValues): void {
    if (this.#series.size < this.#maxSeries - 1 || isFolded(values)) {
      this.#begin(values).value = amount;
    } else {
      this.#folded += amount;
      this.countMany(amount, ...fold(values));
    }
  }

  /** Half of the room at most: what happens shall not be folded for what may never. */
  #beginListed(): void {
    for (const values of this.#listSeries()) {
      if (this.#series.size >= this.#maxSeries / 2) return;
      if (!this.#index.get(values)) this.#begin(values);
    }
  }

  #begin(values: LabelValues): Series<Label> {
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, values[index]]));
    const series = { values, labels: labels as Record<Label, string>, value: 0 };
    this.#series.add(series);
    this.#index.set(values, series);
    return series;
  }
}
