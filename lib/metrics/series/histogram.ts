import type { Metric, Registry } from 'prom-client';
import { fold, type LabelValues, type ListSeries } from './series.ts';
import { SeriesIndex } from './seriesIndex.ts';

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

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Observations by bucket, not yet summed up; the last holds those above every bound. */
  readonly counts: number[];
  sum: number;
}

/**
 * A histogram with room for `maxSeries` label combinations: what is observed in later ones goes to `other`. It counts
 * by itself, because prom-client's own hashes all labels for each observation, and is registered as one of its metrics.
 */
export class CappedHistogram<Label extends string> {
  readonly name: string;
  readonly #labels: readonly Label[];
  readonly #buckets: readonly number[];
  readonly #maxSeries: number;
  readonly #index = new SeriesIndex<Series>();
  readonly #all: Series[] = [];
  #folded = 0;

  constructor(options: CappedHistogramOptions<Label>) {
    const { name, help, labels, buckets, maxSeries, registry, listSeries = () => [] } = options;
    this.name = name;
    this.#labels = labels;
    this.#buckets = buckets;
    this.#maxSeries = maxSeries;
    const get = async () => {
      this.#beginListed(listSeries());
      const values = this.#all.flatMap((series) => this.#rows(series));
      return { name, help, type: 'histogram', aggregator: 'sum', values };
    };
    // Of a metric a registry wants no more than this.
    registry.registerMetric({ name, help, type: 'histogram', get } as unknown as Metric);
  }

  /** How often something was observed under `other` for want of room. */
  get folded(): number {
    return this.#folded;
  }

  /** Observes one value under the label values, given in the order of `labels`. */
  observe(value: number, ...values: LabelValues): void {
    const series = this.#index.get(values) ?? this.#seriesOf(values);
    let bucket = 0;
    while (bucket < this.#buckets.length && value > (this.#buckets[bucket] as number)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] as number) + 1;
    series.sum += value;
  }

  #seriesOf(values: LabelValues): Series {
    if (this.#all.length < this.#maxSeries - 1) return this.#begin(values);
    this.#folded += 1;
    const folded = fold(values);
    return this.#index.get(folded) ?? this.#begin(folded);
  }

  #beginListed(listed: Iterable<LabelValues>): void {
    for (const values of listed) {
      if (this.#all.length >= this.#maxSeries / 2) return;
      if (!this.#index.get(values)) this.#begin(values);
    }
  }

  #begin(values: LabelValues): Series {
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, values[index] ?? '']));
    const series = { labels, counts: new Array(this.#buckets.length + 1).fill(0), sum: 0 };
    this.#index.set(values, series);
    this.#all.push(series);
    return series;
  }

  /** As Prometheus has it: each bucket counts those below it, too. */
  #rows({ labels, counts, sum }: Series) {
    let count = 0;
    const buckets = counts.map((inBucket, index) => {
      count += inBucket;
      const le = this.#buckets[index] ?? '+Inf';
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}
