import { CACHE_COUNTERS, type CacheReadings, cacheGauges } from './definitions/cache.ts';
import { COMPRESSION_COUNTERS } from './definitions/compression.ts';
import { LIMIT_COUNTERS, type LimitReadings, limitGauges, routeLimitGauges } from './definitions/limits.ts';
import { PORT_COUNTERS, type PortReadings, portGauges } from './definitions/ports.ts';
import { PROCESS_COUNTERS, processGauges } from './definitions/process.ts';
import { REGISTRY_COUNTERS, type RegistryReadings, registryGauges } from './definitions/registry.ts';
import {
  BREAKER_COUNTERS,
  HEALTH_COUNTERS,
  REPLICA_COUNTERS,
  type ReplicaReadings,
  replicaGauges,
} from './definitions/replicas.ts';
import {
  DURATIONS,
  LATENCY_BUCKETS_SECONDS,
  REQUEST_COUNTERS,
  type RequestReading,
} from './definitions/requests.ts';
import { type StoreReadings, storeGauges } from './definitions/store.ts';
import { TOKEN_COUNTERS } from './definitions/tokens.ts';
import { type KnownLabels, knownSeries } from './knownSeries.ts';
import { addNodeMetrics } from './nodeMetrics.ts';
import { metricsWith } from './series/capped.ts';
import type { CappedCounter } from './series/counter.ts';
import { counter } from './series/definition.ts';
import { Exemplars } from './series/exemplars.ts';
import type { CappedHistogram } from './series/histogram.ts';
import { OVERFLOW } from './series/series.ts';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Routes with series of their own. Those that come later in the list of routes are counted as `other`. */
const MAX_ROUTES = 500;
/** Room for ten status codes of each. */
const MAX_ROUTE_SERIES = 10 * (MAX_ROUTES + 1);

/** Every counter: a field of `Metrics` for each row of these tables. They are shown in this order. */
const COUNTERS = {
  ...REQUEST_COUNTERS,
  ...REPLICA_COUNTERS,
  ...HEALTH_COUNTERS,
  ...REGISTRY_COUNTERS,
  ...BREAKER_COUNTERS,
  ...CACHE_COUNTERS,
  ...COMPRESSION_COUNTERS,
  ...TOKEN_COUNTERS,
  ...LIMIT_COUNTERS,
  ...PORT_COUNTERS,
  ...PROCESS_COUNTERS,
};

/** Where gauges read the present state when somebody scrapes, so that requests need not keep them up to date. */
export type Readings = ReplicaReadings &
  LimitReadings &
  CacheReadings &
  StoreReadings &
  RegistryReadings &
  PortReadings;

/** Every gauge, in the order in which they are shown. */
function gaugesOf(readings: Readings, version: string) {
  return [
    ...replicaGauges(readings),
    ...limitGauges(readings),
    ...routeLimitGauges(readings),
    ...cacheGauges(readings),
    ...storeGauges(readings),
    ...registryGauges(readings),
    ...processGauges(version),
    ...portGauges(readings),
  ];
}

export interface MetricsOptions {
  readonly readings: Readings;
  readonly known?: KnownLabels;
  /** Version of the program, for `gateway_build_info`. */
  readonly version?: string;
  /** Series a metric may have before further label values are counted as `other`. Default 1000. */
  readonly maxSeries?: number;
  /** Whether each bucket of durations shows a trace, to scrapers that read OpenMetrics. Default false. */
  readonly exemplars?: boolean;
  /**
   * Node's own metrics: of the process and this thread (the default), of this thread alone, or none, for tests that
   * make many gateways.
   */
  readonly processMetrics?: boolean | 'thread';
}

/** Every metric of the gateway, under the names its dashboards use. What they are stands in `definitions/`. */
export class Metrics extends metricsWith(COUNTERS) {
  /** Where traces are recorded: elsewhere their ids lead nowhere. */
  readonly exemplars: Exemplars | undefined;
  readonly #durations = this.histogram({
    name: DURATIONS.histogram,
    help: 'Time from the arrival of a request to the end of its response.',
    labels: DURATIONS.labels,
    buckets: DURATIONS.buckets,
  });
  /** Undefined where there are no routes. */
  readonly #routes: RouteSeries | undefined;

  constructor(options: Readonly<MetricsOptions>) {
    const { readings, version = 'unknown', maxSeries = 1000, processMetrics = true } = options;
    const known = { ...options.known, route: options.known?.route?.slice(0, MAX_ROUTES) ?? [] };
    super({ maxSeries, listSeries: (labels, name) => knownSeries(labels, known, readings, name) });
    if (options.exemplars) this.exemplars = new Exemplars({ ...DURATIONS, maxSeries });
    if (known.route.length > 0) this.#routes = this.#routeSeries(known.route);
    for (const gauge of gaugesOf(readings, version)) this.gauge(gauge);
    if (processMetrics) addNodeMetrics(this.registry, { ofProcess: processMetrics !== 'thread' });
  }

  requestCompleted(reading: RequestReading): void {
    const { service, route = '', method, status, port, origin, seconds, traceId } = reading;
    const known = METHODS.has(method) ? method : 'OTHER';
    this.requests.count(service, known, String(status), port, origin);
    this.#durations.observe(seconds, service, port);
    if (this.exemplars && traceId) this.exemplars.keep(seconds, traceId, service, port);
    if (this.#routes && route !== '') this.#countFor(this.#routes, route, status, seconds);
  }

  #countFor(
    { named, requests, durations }: RouteSeries,
    name: string,
    status: number,
    seconds: number,
  ): void {
    const route = named.has(name) ? name : OVERFLOW;
    requests.count(route, String(status));
    durations.observe(seconds, route);
  }

  /** Drops the series of a replica that has left. */
  forgetReplica(service: string, instance: string): void {
    this.forget({ service, instance });
  }

  #routeSeries(names: readonly string[]): RouteSeries {
    return {
      named: new Set(names),
      requests: this.counter(
        counter('gateway_route_requests_total', ['route', 'status'], 'Requests that matched a route.'),
        MAX_ROUTE_SERIES,
      ),
      durations: this.histogram({
        name: 'gateway_route_request_duration_seconds',
        help: 'Time from the arrival of a request that matched a route to the end of its response.',
        labels: ['route'],
        buckets: LATENCY_BUCKETS_SECONDS,
      }),
    };
  }
}

/** What is counted by route. */
interface RouteSeries {
  /** The routes that have series of their own. */
  readonly named: ReadonlySet<string>;
  readonly requests: CappedCounter<string>;
  readonly durations: CappedHistogram<'route'>;
}
