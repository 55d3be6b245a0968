import { collectDefaultMetrics, Histogram } from 'prom-client';
import { CappedMetrics } from './capped.ts';
import type { CappedCounter } from './counter.ts';
import { Exemplars } from './exemplars.ts';
import type { Reading } from './gauge.ts';
import type { CappedHistogram } from './histogram.ts';
import { combinations, type LabelValues, OVERFLOW } from './series.ts';

/** What metrics of breakers begin with: a service without breakers has none of them. */
const BREAKER_METRICS = 'gateway_circuit_breaker_';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** 1 ms to 30 s: from a cache hit to the longest deadline anybody sensible sets. */
const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Kinds of garbage collection: some come so seldom that their first would be missed. */
const COLLECTIONS = ['minor', 'incremental', 'major', 'weakcb'] as const;

/** Gauges of prom-client whose names end as a counter's do: Prometheus' own check objects. Their kin per type stays. */
const ILL_NAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

const DURATIONS = {
  histogram: 'gateway_request_duration_seconds',
  labels: ['service', 'port'],
  buckets: LATENCY_BUCKETS_SECONDS,
} as const;

/** Routes with series of their own. Those that come later in the list of routes are counted as `other`. */
const MAX_ROUTES = 500;
/** Room for ten status codes of each. */
const MAX_ROUTE_SERIES = 10 * (MAX_ROUTES + 1);

/** Responses that dashboards and alerts wait for: the first of each must be seen as a rise from 0. */
const AWAITED_RESPONSES = [
  { method: 'GET', status: '200', origin: 'upstream' },
  { method: 'GET', status: '500', origin: 'upstream' },
  { method: 'GET', status: '502', origin: 'gateway' },
  { method: 'GET', status: '503', origin: 'gateway' },
  { method: 'GET', status: '504', origin: 'gateway' },
];

/** Whose status a client got: that of the service (a stored response's too), of the gateway, or none because it left. */
export type Origin = 'upstream' | 'gateway' | 'none';

/** A request that is over. */
export interface RequestReading {
  readonly service: string;
  /** The name of its route; '' or left out: none. */
  readonly route?: string;
  readonly method: string;
  /** 0 for a client that left before its response began. */
  readonly status: number;
  readonly port: string;
  readonly origin: Origin;
  readonly seconds: number;
  /** Of a trace that can be looked up. */
  readonly traceId?: string | undefined;
}

export interface ReplicaReading {
  readonly service: string;
  readonly instance: string;
  readonly requestCount: number;
  readonly inFlight: number;
  readonly healthy: boolean;
  /** 0 closed, 1 open, 2 half-open; undefined: it has no breaker. */
  readonly breakerState: number | undefined;
}

export interface ConcurrencyReading {
  readonly service: string;
  readonly held: number;
  readonly limit: number;
  /** Open at the moment. */
  readonly streams: number;
  readonly streamLimit: number;
}

/** How many permits of one kind there are, and how many of them are in use. */
export interface PermitsReading {
  readonly held: number;
  readonly limit: number;
}

/** A route with permits of its own; undefined: of that kind it has none, and shares its service's. */
export interface RouteConcurrencyReading {
  readonly route: string;
  readonly requests: PermitsReading | undefined;
  readonly streams: PermitsReading | undefined;
}

/** What one place holds of stored responses. */
export interface CacheReading {
  readonly tier: string;
  readonly entries: number;
  readonly bytes: number;
}

/** One of several servers that the store is spread over. */
export interface NodeReading {
  readonly name: string;
  readonly isUp: boolean;
}

/** Where gauges read the present state when somebody scrapes, so that requests need not keep them up to date. */
export interface Readings {
  replicas(): Iterable<ReplicaReading>;
  concurrency(): Iterable<ConcurrencyReading>;
  /** The routes that have permits of their own. Without any there are no such gauges. */
  readonly routeConcurrency?: (() => Iterable<RouteConcurrencyReading>) | undefined;
  /** Permits of all services together. */
  globalLimit(): number;
  /** Streams of all services together. */
  globalStreamLimit(): number;
  storeUp(): Promise<boolean>;
  /** Whether a full store may drop revocations. */
  storeMayEvict(): Promise<boolean>;
  /** The servers that the store is spread over; undefined: it is not, and there is no such gauge. */
  readonly redisNodes: (() => Promise<Iterable<NodeReading>>) | undefined;
  /** Rejects while nobody can tell. Undefined: other threads tell, and there is no such gauge. */
  readonly cache: (() => Promise<Iterable<CacheReading>>) | undefined;
  /** Names that the registry lists and no service has, each with the number of its entries. */
  unknownNames(): ReadonlyMap<string, number>;
  /** In milliseconds since the epoch; undefined: there is no TLS, and no such gauge. */
  readonly certificateExpiresAtMs: (() => number) | undefined;
}

/** Label values known from the start: a counter all of whose labels are here shows their combinations at 0. */
export type KnownLabels = Readonly<
  Partial<
    Record<
      'service' | 'serviceWithBreaker' | 'route' | 'port' | 'code' | 'reason' | 'outcome' | 'call' | 'policy',
      readonly string[]
    >
  >
>;

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

/** Every metric of the gateway, under the names its dashboards use. */
export class Metrics extends CappedMetrics {
  /** Where traces are recorded: elsewhere their ids lead nowhere. */
  readonly exemplars: Exemplars | undefined;
  readonly requests = this.counter(
    'gateway_requests_total',
    ['service', 'method', 'status', 'port', 'origin'],
    'Responses, and whether the service (upstream) or the gateway settled the status.',
  );
  readonly timeouts = this.counter(
    'gateway_request_timeouts_total',
    ['service', 'port'],
    'Requests that ran out of time.',
  );
  readonly errors = this.counter(
    'gateway_errors_total',
    ['service', 'code', 'port'],
    'Replies the gateway made itself because of an error.',
  );
  readonly lbRequests = this.counter(
    'gateway_lb_requests_total',
    ['service', 'instance'],
    'Requests sent to a replica.',
  );
  readonly failovers = this.counter(
    'gateway_failovers_total',
    ['service', 'instance'],
    'Requests tried again at another replica, by the one that gave no response.',
  );
  readonly hedges = this.counter(
    'gateway_hedges_total',
    ['service'],
    'Requests sent to a second replica as well, because the first was silent.',
  );
  readonly hedgesWon = this.counter(
    'gateway_hedges_won_total',
    ['service'],
    'Requests of those that the second replica responded to first.',
  );
  readonly registryErrors = this.counter(
    'gateway_registry_errors_total',
    ['call'],
    'Calls to the registry that failed.',
  );
  readonly registryCallsDropped = this.counter(
    'gateway_registry_calls_dropped_total',
    [],
    'Calls that the registry was away for too long to get.',
  );
  readonly breakerFailures = this.counter(
    'gateway_circuit_breaker_failures_total',
    ['service', 'instance'],
    'Failed calls of a replica.',
  );
  readonly breakerTrips = this.counter(
    'gateway_circuit_breaker_trips_total',
    ['service', 'instance'],
    'Times the breaker of a replica opened.',
  );
  readonly breakerRejected = this.counter(
    'gateway_circuit_breaker_rejected_total',
    ['service'],
    'Requests refused because every breaker was open.',
  );
  readonly breakerHeld = this.counter(
    'gateway_circuit_breaker_held_total',
    ['service', 'instance'],
    'Failures at which a breaker stayed closed because those of half of the replicas were open.',
  );
  readonly cacheHits = this.counter('gateway_cache_hits_total', ['service'], 'GETs served from the cache.');
  readonly cacheMisses = this.counter(
    'gateway_cache_misses_total',
    ['service'],
    'GETs that the cache could not serve.',
  );
  readonly cacheErrors = this.counter(
    'gateway_cache_errors_total',
    ['service'],
    'Failures of the store behind the cache.',
  );
  readonly cacheDeclined = this.counter(
    'gateway_cache_declined_total',
    ['service'],
    'Responses that a full cache did not take in, because nobody had asked for them before.',
  );
  readonly jwtGenerated = this.counter(
    'gateway_jwt_generated_total',
    [],
    'Tokens handed out by login and registration.',
  );
  readonly jwtAccepted = this.counter('gateway_jwt_validation_success_total', [], 'Tokens accepted.');
  readonly jwtRejected = this.counter('gateway_jwt_validation_errors_total', ['reason'], 'Tokens refused.');
  readonly limitReached = this.counter(
    'gateway_concurrency_limit_reached_total',
    ['service'],
    "Requests, streams and WebSockets refused at a concurrency limit or at a caller's share of one.",
  );
  readonly rateLimited = this.counter(
    'gateway_rate_limited_total',
    ['policy', 'service'],
    'Requests refused at a rate limit.',
  );
  readonly rateLimitErrors = this.counter(
    'gateway_rate_limit_errors_total',
    ['policy'],
    'Requests that this gateway counted for itself, because Redis did not respond.',
  );
  readonly adminRefused = this.counter(
    'gateway_admin_refused_total',
    ['outcome'],
    'Requests under /admin without the admin token: a wrong one, none, or after too many wrong ones.',
  );
  readonly internalPeersRefused = this.counter(
    'gateway_internal_peers_refused_total',
    [],
    'Connections to the internal port that were closed because their peer had no private address.',
  );
  readonly tlsFailures = this.counter(
    'gateway_tls_handshake_failures_total',
    [],
    'Connections of which no TLS connection came.',
  );
  readonly spanExportErrors = this.counter(
    'gateway_span_export_errors_total',
    [],
    'Batches of spans that the OpenTelemetry collector did not take.',
  );
  readonly exhausted = this.counter(
    'gateway_exhausted_total',
    [],
    'Connections to replicas that could not be opened for lack of descriptors, ports or memory of the gateway.',
  );
  readonly uncaughtErrors = this.counter(
    'gateway_uncaught_errors_total',
    [],
    'Errors that nobody caught: after the first the gateway drains and ends.',
  );
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
    this.#replicaGauges(readings);
    this.#limitGauges(readings);
    if (readings.routeConcurrency) this.#routeLimitGauges(readings.routeConcurrency);
    if (readings.cache) this.#cacheGauges(readings.cache);
    this.gauge({
      name: 'gateway_store_up',
      help: 'Whether the store of tokens responds and takes writes (1) or not (0).',
      labels: [],
      aggregator: 'min',
      read: async () => [[Number(await readings.storeUp())]],
    });
    this.gauge({
      name: 'gateway_store_may_evict',
      help: 'Whether the store, when it is full, may drop revocations (1) or not (0).',
      labels: [],
      read: async () => [[Number(await readings.storeMayEvict())]],
    });
    const { redisNodes } = readings;
    if (redisNodes)
      this.gauge({
        name: 'gateway_redis_node_up',
        help: 'Whether a node of Redis that keys are spread over responds and takes writes (1) or not (0).',
        labels: ['node'],
        aggregator: 'min',
        read: async () => Array.from(await redisNodes(), ({ name, isUp }): Reading => [Number(isUp), name]),
      });
    this.gauge({
      name: 'gateway_registry_unknown_names',
      help: 'Entries that the registry lists under a name that no service has.',
      labels: ['name'],
      read: () => Array.from(readings.unknownNames(), ([name, entries]): Reading => [entries, name]),
    });
    this.gauge({
      name: 'gateway_build_info',
      help: 'Always 1; the labels tell what runs.',
      labels: ['version'],
      read: () => [[1, version]],
    });
    const { certificateExpiresAtMs } = readings;
    if (certificateExpiresAtMs)
      this.gauge({
        name: 'gateway_certificate_expiry_seconds',
        help: 'When the TLS certificate in use ends, in seconds since 1970.',
        labels: [],
        read: () => [[certificateExpiresAtMs() / 1000]],
      });
    if (processMetrics) this.#processMetrics();
    if (processMetrics === 'thread') this.#dropThoseOfTheProcess();
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
        'gateway_route_requests_total',
        ['route', 'status'],
        'Requests that matched a route.',
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

  /** Each thread would show the whole, and their sum be a multiple of it. */
  #processMetrics(): void {
    collectDefaultMetrics({ register: this.registry });
    for (const name of ILL_NAMED) this.registry.removeSingleMetric(name);
    const collections = this.registry.getSingleMetric('nodejs_gc_duration_seconds');
    if (collections instanceof Histogram) for (const kind of COLLECTIONS) collections.zero({ kind });
  }

  #dropThoseOfTheProcess(): void {
    for (const { name } of this.registry.getMetricsAsArray()) {
      if (name.startsWith('process_')) this.registry.removeSingleMetric(name);
    }
  }

  #replicaGauges({ replicas }: Readings): void {
    for (const { value, ...rest } of REPLICA_GAUGES) {
      const read = () =>
        Array.from(replicas(), (replica) => readingOf(replica, value)).filter(
          (reading) => reading !== undefined,
        );
      this.gauge({ ...rest, labels: ['service', 'instance'], read });
    }
  }

  #cacheGauges(usage: NonNullable<Readings['cache']>): void {
    for (const { value, ...rest } of CACHE_GAUGES) {
      // A store that is away shows in gateway_cache_errors_total; a scrape must not fail for it.
      const read = async () => {
        const places = await usage().catch(() => []);
        return Array.from(places, (place): Reading => [value(place), place.tier]);
      };
      this.gauge({ ...rest, labels: ['tier'], read });
    }
  }

  #routeLimitGauges(routeConcurrency: NonNullable<Readings['routeConcurrency']>): void {
    for (const { value, ...rest } of ROUTE_LIMIT_GAUGES) {
      const read = () =>
        Array.from(routeConcurrency()).flatMap((of): Reading[] => {
          const found = value(of);
          return found === undefined ? [] : [[found, of.route]];
        });
      this.gauge({ ...rest, labels: ['route'], read });
    }
  }

  #limitGauges({ concurrency, globalLimit, globalStreamLimit }: Readings): void {
    this.gauge({
      name: 'gateway_concurrent_requests',
      help: 'Requests under way on the external port that hold a permit of the service.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ held, service }): Reading => [held, service]),
    });
    this.gauge({
      name: 'gateway_concurrency_limit',
      help: 'Requests that may hold a permit of the service on the external port.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ limit, service }): Reading => [limit, service]),
    });
    this.gauge({
      name: 'gateway_global_concurrency_limit',
      help: 'Requests of all services together that may be under way on the external port.',
      labels: [],
      read: () => [[globalLimit()]],
    });
    this.gauge({
      name: 'gateway_streams',
      help: 'Streams of a service open on the external port: event streams and responses that run for long.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ streams, service }): Reading => [streams, service]),
    });
    this.gauge({
      name: 'gateway_stream_limit',
      help: 'Streams of a service that may be open on the external port.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ streamLimit, service }): Reading => [streamLimit, service]),
    });
    this.gauge({
      name: 'gateway_global_stream_limit',
      help: 'Streams of all services together that may be open on the external port.',
      labels: [],
      read: () => [[globalStreamLimit()]],
    });
  }
}

/** What is counted by route. */
interface RouteSeries {
  /** The routes that have series of their own. */
  readonly named: ReadonlySet<string>;
  readonly requests: CappedCounter<'route' | 'status'>;
  readonly durations: CappedHistogram<'route'>;
}
const ROUTE_LIMIT_GAUGES = [
  {
    name: 'gateway_route_concurrent_requests',
    help: 'Requests under way of a route that has permits of its own.',
    value: ({ requests }: RouteConcurrencyReading) => requests?.held,
  },
  {
    name: 'gateway_route_concurrency_limit',
    help: 'Requests that may be under way of a route that has permits of its own.',
    value: ({ requests }: RouteConcurrencyReading) => requests?.limit,
  },
  {
    name: 'gateway_route_streams',
    help: 'Streams open of a route that has permits for streams of its own.',
    value: ({ streams }: RouteConcurrencyReading) => streams?.held,
  },
  {
    name: 'gateway_route_stream_limit',
    help: 'Streams that may be open of a route that has permits for streams of its own.',
    value: ({ streams }: RouteConcurrencyReading) => streams?.limit,
  },
];

interface ReplicaGauge {
  readonly name: string;
  readonly help: string;
  /** Undefined: the replica has no such thing. */
  readonly value: (replica: ReplicaReading) => number | undefined;
  readonly combine?: (one: number, another: number) => number;
}

const REPLICA_GAUGES: readonly ReplicaGauge[] = [
  {
    name: 'gateway_lb_instance_load',
    help: 'Requests this replica has had.',
    value: ({ requestCount }) => requestCount,
  },
  {
    name: 'gateway_lb_instance_in_flight',
    help: 'Requests under way at this replica.',
    value: ({ inFlight }) => inFlight,
  },
  {
    name: 'gateway_lb_instance_health',
    help: 'Whether the replica is healthy (1) or not (0).',
    value: ({ healthy }) => Number(healthy),
    combine: Math.min,
  },
  {
    name: 'gateway_circuit_breaker_state',
    help: 'Breaker of the replica: 0 closed, 1 open, 2 half-open.',
    value: ({ breakerState }) => breakerState,
    combine: Math.max,
  },
];

const CACHE_GAUGES = [
  {
    name: 'gateway_cache_entries',
    help: 'Keys the cache holds.',
    value: ({ entries }: CacheReading) => entries,
  },
  { name: 'gateway_cache_bytes', help: 'What they take up.', value: ({ bytes }: CacheReading) => bytes },
];

function readingOf(replica: ReplicaReading, value: ReplicaGauge['value']): Reading | undefined {
  const found = value(replica);
  return found === undefined ? undefined : [found, ...placeOf(replica)];
}

function placeOf({ service, instance }: ReplicaReading): [service: string, instance: string] {
  return [service, instance];
}

/** What a metric with these labels shows before anything happened: rate() sees no rise without a start. */
function knownSeries(
  labels: readonly string[],
  known: KnownLabels,
  readings: Readings,
  name: string,
): LabelValues[] {
  return name.startsWith(BREAKER_METRICS)
    ? seriesOf(
        labels,
        { ...known, service: known.serviceWithBreaker ?? known.service ?? [] },
        breakersOf(readings),
      )
    : seriesOf(labels, known, Array.from(readings.replicas()));
}

function breakersOf({ replicas }: Readings): ReplicaReading[] {
  return Array.from(replicas()).filter(({ breakerState }) => breakerState !== undefined);
}

function seriesOf(
  labels: readonly string[],
  known: KnownLabels,
  replicas: readonly ReplicaReading[],
): LabelValues[] {
  if (labels.includes('instance')) return replicas.map(placeOf);
  if (labels.includes('status'))
    return labels.includes('route') ? routeResponses(known) : awaitedResponses(known);
  return combinations(labels.map((label) => known[label as keyof KnownLabels] ?? []));
}

function routeResponses({ route = [] }: KnownLabels): LabelValues[] {
  return combinations([route, AWAITED_RESPONSES.map(({ status }) => status)]);
}

function awaitedResponses({ service: services = [], port: ports = [] }: KnownLabels): LabelValues[] {
  return AWAITED_RESPONSES.flatMap(({ method, status, origin }) =>
    combinations([services, [method], [status], ports, [origin]]),
  );
}
