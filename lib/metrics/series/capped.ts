import { Counter, Registry } from 'prom-client';
import { CappedCounter } from './counter.ts';
import type { CounterDefinition, CountersOf } from './definition.ts';
import { type CappedGaugeOptions, cappedGauge } from './gauge.ts';
import { CappedHistogram, type CappedHistogramOptions } from './histogram.ts';
import type { LabelValues } from './series.ts';

export interface CappedMetricsOptions {
  /** Series a metric may have before further label values are counted as `other`. */
  readonly maxSeries: number;
  /** The series of a metric with these labels that are shown as 0 before anything happened in them. */
  readonly listSeries: (labels: readonly string[], name: string) => Iterable<LabelValues>;
}

/** Metrics that share a registry and a bound. What had to be folded is itself counted, by metric. */
export class CappedMetrics {
  readonly registry = new Registry();
  readonly #options: CappedMetricsOptions;
  readonly #capped: { readonly name: string; readonly folded: number }[] = [];
  readonly #counters: CappedCounter<string>[] = [];

  constructor(options: Readonly<CappedMetricsOptions>) {
    this.#options = options;
    const capped = this.#capped;
    new Counter({
      name: 'gateway_metrics_folded_total',
      help: 'Counts that went to the series "other" because their metric was full.',
      labelNames: ['metric'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { name, folded } of capped) this.inc({ metric: name }, folded);
      },
    });
  }

  protected counter(
    { name, labels, help }: CounterDefinition,
    maxSeries = this.#options.maxSeries,
  ): CappedCounter<string> {
    const counter = new CappedCounter({ name, help, labels, ...this.#shared(labels, name), maxSeries });
    this.#capped.push(counter);
    this.#counters.push(counter);
    return counter;
  }

  protected histogram<const Label extends string>(
    options: Omit<CappedHistogramOptions<Label>, 'maxSeries' | 'registry' | 'listSeries'>,
  ): CappedHistogram<Label> {
    const histogram = new CappedHistogram({ ...options, ...this.#shared(options.labels, options.name) });
    this.#capped.push(histogram);
    return histogram;
  }

  protected gauge<const Label extends string>(
    options: Omit<CappedGaugeOptions<Label>, 'maxSeries' | 'registry'>,
  ): void {
    cappedGauge({ ...options, ...this.#shared(options.labels, options.name) });
  }

  /** Drops the series of every counter whose labels have all of these values: what they stand for is gone. */
  protected forget(gone: Readonly<Record<string, string>>): void {
    for (const counter of this.#counters) counter.forget(gone);
  }

  #shared(labels: readonly string[], name: string) {
    const { maxSeries, listSeries } = this.#options;
    return { maxSeries, registry: this.registry, listSeries: () => listSeries(labels, name) };
  }
}

/** The class of metrics that have a field for each counter of the table. */
export function metricsWith<Table extends Readonly<Record<string, CounterDefinition>>>(table: Table) {
  class MetricsOfTable extends CappedMetrics {
    constructor(options: Readonly<CappedMetricsOptions>) {
      super(options);
      const fields = Object.entries(table).map(([field, definition]) => [
        field,
        { value: this.counter(definition), enumerable: true },
      ]);
      // All at once: if they came one by one, V8 would look each of them up by its name whenever something is counted.
      Object.defineProperties(this, Object.fromEntries(fields));
    }
  }
  return MetricsOfTable as new (
    options: Readonly<CappedMetricsOptions>,
  ) => CappedMetrics & CountersOf<Table>;
}
