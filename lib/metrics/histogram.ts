import { Histogram, type Registry } from 'prom-client';
import { fold, type LabelValues, type ListSeries, seriesKey } from './series.ts';

export interface CappedHistogramOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  /** Upper bounds, rising. */
  readonly buckets: readonly number[];
  readonly maxSeries: number;
  readonly registry: Registry;
  /** Series that are shown as 0 before anything was observed; asked at every scrape. */
  readonly listSeries?: ListSeries;
}

/** A histogram with room for `maxSeries` label combinations: what is observed in later ones goes to `other`. */
export class CappedHistogram<Label extends string> {
  readonly name: string;
  readonly #labels: readonly Label[];
  readonly #maxSeries: number;
  readonly #histogram: Histogram<Label>;
  /** Made once: prom-client checks labels whenever it is given some. */
  readonly #observers = new Map<string, (value: number) => void>();
  #folded = 0;

  constructor({
    labels,
    maxSeries,
    registry,
    listSeries = () => [],
    ...options
  }: CappedHistogramOptions<Label>) {
    this.name = options.name;
    this.#labels = labels;
    this.#maxSeries = maxSeries;
    const beginListed = () => {
      for (const values of listSeries()) {
        if (this.#observers.size >= maxSeries / 2) return;
        if (!this.#observers.has(seriesKey(values))) this.#begin(values);
      }
    };
    this.#histogram = new Histogram<Label>({
      ...options,
      labelNames: [...labels],
      buckets: [...options.buckets],
      registers: [registry],
      collect: beginListed,
    });
  }

  /** How often something was observed under `other` for want of room. */
  get folded(): number {
    return this.#folded;
  }

  /** Observes one value under the label values, given in the order of `labels`. */
  observe(value: number, ...values: LabelValues): void {
    const observer = this.#observers.get(seriesKey(values)) ?? this.#observerOf(values);
    observer(value);
  }

  #observerOf(values: LabelValues): (value: number) => void {
    if (this.#observers.size < this.#maxSeries - 1) return this.#begin(values);
    this.#folded += 1;
    const folded = fold(values);
    return this.#observers.get(seriesKey(folded)) ?? this.#begin(folded);
  }

  #begin(values: LabelValues): (value: number) => void {
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, values[index]]));
    this.#histogram.zero(labels as Record<Label, string>);
    const { observe } = this.#histogram.labels(...values);
    this.#observers.set(seriesKey(values), observe);
    return observe;
  }
}
