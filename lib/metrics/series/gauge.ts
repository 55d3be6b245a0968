import { type Aggregator, Gauge, type Registry } from 'prom-client';
import { fold, isFolded, type LabelValues, seriesKey } from './series.ts';

/** One series of a gauge at this moment. */
export type Reading = readonly [value: number, ...labels: string[]];

export interface CappedGaugeOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly Label[];
  readonly maxSeries: number;
  readonly registry: Registry;
  /** The whole present state; asked at every scrape. */
  readonly read: () => Iterable<Reading> | Promise<Iterable<Reading>>;
  /** What the series without room come to, taken together. Default: their sum. */
  readonly combine?: (one: number, another: number) => number;
  /** What becomes of the series of several threads. Default `max`: they all read what they share. */
  readonly aggregator?: Aggregator;
}

/** A gauge that shows what `read` tells when somebody scrapes: at most `maxSeries` series, the rest as `other`. */
export function cappedGauge<Label extends string>(options: Readonly<CappedGaugeOptions<Label>>): void {
  const {
    name,
    help,
    labels,
    maxSeries,
    registry,
    read,
    combine = (one, another) => one + another,
    aggregator = 'max',
  } = options;
  new Gauge({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    aggregator,
    async collect() {
      const readings = await read();
      this.reset();
      for (const { values, value } of capped(readings, maxSeries, combine)) {
        const entries = labels.map((label, index) => [label, values[index] ?? '']);
        this.set(Object.fromEntries(entries) as Record<Label, string>, value);
      }
    },
  });
}

interface Series {
  readonly values: LabelValues;
  value: number;
}

function capped(
  readings: Iterable<Reading>,
  maxSeries: number,
  combine: (one: number, another: number) => number,
): Iterable<Series> {
  const series = new Map<string, Series>();
  for (const [value, ...labels] of readings) {
    const values = series.size < maxSeries - 1 || isFolded(labels) ? labels : fold(labels);
    const known = series.get(seriesKey(values));
    if (known) known.value = combine(known.value, value);
    else series.set(seriesKey(values), { values, value });
  }
  return series.values();
}
