import { type Metric, type OpenMetricsContentType, Registry } from 'prom-client';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { type LabelValues, seriesKey } from './series.ts';

/** What `Accept` of a scraper holds that can read exemplars: Prometheus' own does. */
const OPEN_METRICS = 'application/openmetrics-text';

/** The last observation of a bucket that has a trace. OpenMetrics writes the time in seconds since 1970. */
interface Exemplar {
  readonly labelSet: { readonly trace_id: string };
  readonly value: number;
  readonly timestamp: number;
}

export interface ExemplarsOptions {
  /** The histogram's name, its labels, and its upper bounds, rising. */
  readonly histogram: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
  /** Series of which exemplars are kept; none of any other. */
  readonly maxSeries: number;
  readonly clock?: Clock;
}

/** For each bucket of a histogram one request by its trace: where to look when a graph says that some are slow. */
export class Exemplars {
  readonly contentType = Registry.OPENMETRICS_CONTENT_TYPE;
  readonly #options: Required<ExemplarsOptions>;
  /** By series, then in the order of the buckets, the one above every bound last. */
  readonly #kept = new Map<string, (Exemplar | undefined)[]>();

  constructor(options: Readonly<ExemplarsOptions>) {
    this.#options = { clock: systemClock, ...options };
  }

  /** Keeps an observation with the label values, given in the order of `labels`. */
  keep(value: number, traceId: string, ...values: LabelValues): void {
    const { buckets, maxSeries, clock } = this.#options;
    const key = seriesKey(values);
    const kept = this.#kept.get(key) ?? [];
    if (kept.length === 0) {
      if (this.#kept.size >= maxSeries) return;
      this.#kept.set(key, kept);
    }
    const above = buckets.findIndex((bound) => value <= bound);
    const timestamp = clock.now() / 1000;
    kept[above === -1 ? buckets.length : above] = { labelSet: { trace_id: traceId }, value, timestamp };
  }

  /** Everything that `registry` has as OpenMetrics, the one text format that has exemplars. */
  openMetrics(registry: Registry): Promise<string> {
    const copy = new Registry<OpenMetricsContentType>();
    copy.setContentType(this.contentType);
    for (const metric of registry.getMetricsAsArray() as unknown as Shown[]) {
      const get = async () => this.#translated(await metric.get());
      copy.registerMetric({ ...metric, name: metric.name, type: metric.type, get } as unknown as Metric);
    }
    return copy.metrics();
  }

  #translated(shown: Snapshot): Snapshot {
    const { histogram, labels, buckets } = this.#options;
    // prom-client puts the `_total` behind a counter's name, which the classic format's name ends with already.
    if (shown.type === 'counter') return { ...shown, name: shown.name.replace(/_total$/, '') };
    if (shown.name !== histogram) return shown;
    const values = shown.values.map((row) => {
      if (row.metricName !== `${histogram}_bucket`) return row;
      const bucket = buckets.indexOf(Number(row.labels.le));
      const kept = this.#kept.get(seriesKey(labels.map((label) => String(row.labels[label]))));
      return { ...row, exemplar: kept?.[bucket === -1 ? buckets.length : bucket] };
    });
    return { ...shown, values };
  }
}

/** Whether a scraper says that it reads OpenMetrics. */
export function readsOpenMetrics(accept: string | undefined): boolean {
  return accept?.includes(OPEN_METRICS) ?? false;
}

/** What a registry keeps, as far as it matters here. */
interface Shown {
  readonly name: string;
  readonly type: string;
  get(): Promise<Snapshot>;
}

interface Snapshot {
  readonly name: string;
  readonly type: string;
  readonly values: readonly Row[];
}

interface Row {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}
