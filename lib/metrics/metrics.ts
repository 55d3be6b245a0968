import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { CappedCounter } from './counter.ts';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** 1 ms to 30 s: from a cache hit to the longest deadline anybody sensible sets. */
const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface ReplicaReading {
  readonly service: string;
  readonly instance: string;
  readonly requestCount: number;
  readonly inFlight: number;
  readonly healthy: boolean;
  /** 0 closed, 1 open, 2 half-open. */
  readonly breakerState: number;
}

export interface ConcurrencyReading {
  readonly service: string;
  readonly held: number;
}

/** Where gauges read the present state when somebody scrapes, so that requests need not keep them up to date. */
export interface Readings {
  replicas(): Iterable<ReplicaReading>;
  concurrency(): Iterable<ConcurrencyReading>;
}

export interface MetricsOptions {
  readonly readings: Readings;
  /** Series a counter may have before further label values are counted as `other`. Default 1000. */
  readonly maxSeries?: number;
  /** Node's own metrics; off in tests that make many gateways. Default true. */
  readonly processMetrics?: boolean;
}

/** Every metric of the gateway, under the names its dashboards use. */
export class Metrics {
  readonly registry = new Registry();
  readonly #maxSeries: number;

  readonly requests;
  readonly #durations: Histogram<'service' | 'port'>;
  readonly timeouts;
  readonly lbRequests;
  readonly failovers;
  readonly registryErrors;
  readonly registryCallsDropped;
  readonly breakerFailures;
  readonly breakerRejected;
  readonly cacheHits;
  readonly cacheMisses;
  readonly cacheErrors;
  readonly jwtGenerated;
  readonly jwtAccepted;
  readonly jwtRejected;
  readonly limitReached;
  readonly errors;

  constructor({ readings, maxSeries = 1000, processMetrics = true }: Readonly<MetricsOptions>) {
    this.#maxSeries = maxSeries;
    this.requests = this.#counter('gateway_requests_total', 'Requests answered.', [
      'service',
      'method',
      'status',
      'port',
    ]);
    this.#durations = new Histogram({
      name: 'gateway_request_duration_seconds',
      help: 'Time from the arrival of a request to the end of its answer.',
      labelNames: ['service', 'port'],
      buckets: LATENCY_BUCKETS_SECONDS,
      registers: [this.registry],
    });
    this.timeouts = this.#counter('gateway_request_timeouts_total', 'Requests that ran out of time.', [
      'service',
      'port',
    ]);
    this.lbRequests = this.#counter('gateway_lb_requests_total', 'Requests sent to a replica.', [
      'service',
      'instance',
    ]);
    this.failovers = this.#counter(
      'gateway_failovers_total',
      'Requests tried again at another replica, by the one that gave no answer.',
      ['service', 'instance'],
    );
    this.registryErrors = this.#counter(
      'gateway_registry_errors_total',
      'Calls to the registry that failed.',
      ['call'],
    );
    this.registryCallsDropped = this.#counter(
      'gateway_registry_calls_dropped_total',
      'Calls that the registry was away for too long to get.',
      [],
    );
    this.breakerFailures = this.#counter(
      'gateway_circuit_breaker_failures_total',
      'Failed calls of a replica.',
      ['service', 'instance'],
    );
    this.breakerRejected = this.#counter(
      'gateway_circuit_breaker_rejected_total',
      'Requests refused because every breaker was open.',
      ['service'],
    );
    this.cacheHits = this.#counter('gateway_cache_hits_total', 'GETs answered from the cache.', ['service']);
    this.cacheMisses = this.#counter('gateway_cache_misses_total', 'GETs the cache could not answer.', [
      'service',
    ]);
    this.cacheErrors = this.#counter(
      'gateway_cache_errors_total',
      'Failures of the store behind the cache.',
      ['service'],
    );
    this.jwtGenerated = this.#counter(
      'gateway_jwt_generated_total',
      'Tokens handed out by login and registration.',
      [],
    );
    this.jwtAccepted = this.#counter('gateway_jwt_validation_success_total', 'Tokens accepted.', []);
    this.jwtRejected = this.#counter('gateway_jwt_validation_errors_total', 'Tokens refused.', ['reason']);
    this.limitReached = this.#counter(
      'gateway_concurrency_limit_reached_total',
      'Requests refused at a concurrency limit.',
      ['service'],
    );
    this.errors = this.#counter(
      'gateway_errors_total',
      'Replies the gateway made itself because of an error.',
      ['service', 'code', 'port'],
    );
    this.#gauges(readings);
    if (processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  /** One request is over. `status` 0 stands for a client that left before it was answered. */
  requestCompleted(service: string, method: string, status: number, port: string, seconds: number): void {
    this.requests.count(service, METHODS.has(method) ? method : 'OTHER', String(status), port);
    this.#durations.observe({ service, port }, seconds);
  }

  /** Drops the series of a replica that has left. */
  forgetReplica(service: string, instance: string): void {
    for (const counter of [this.lbRequests, this.failovers, this.breakerFailures]) {
      counter.forget({ service, instance });
    }
  }

  #counter<const Label extends string>(
    name: string,
    help: string,
    labels: readonly Label[],
  ): CappedCounter<Label> {
    return new CappedCounter({ name, help, labels, maxSeries: this.#maxSeries, registry: this.registry });
  }

  #gauges({ replicas, concurrency }: Readings): void {
    const perReplica: [string, string, (reading: ReplicaReading) => number][] = [
      ['gateway_lb_instance_load', 'Requests this replica has had.', (replica) => replica.requestCount],
      ['gateway_lb_instance_in_flight', 'Requests under way at this replica.', (replica) => replica.inFlight],
      [
        'gateway_lb_instance_health',
        'Whether the replica is healthy (1) or not (0).',
        (replica) => Number(replica.healthy),
      ],
      [
        'gateway_circuit_breaker_state',
        'Breaker of the replica: 0 closed, 1 open, 2 half-open.',
        (replica) => replica.breakerState,
      ],
    ];
    const registers = [this.registry];
    for (const [name, help, value] of perReplica) {
      new Gauge({
        name,
        help,
        labelNames: ['service', 'instance'],
        registers,
        collect() {
          this.reset();
          for (const reading of replicas()) {
            this.set({ service: reading.service, instance: reading.instance }, value(reading));
          }
        },
      });
    }
    new Gauge({
      name: 'gateway_concurrent_requests',
      help: 'Requests of a service under way on the external port.',
      labelNames: ['service'],
      registers,
      collect() {
        this.reset();
        for (const { service, held } of concurrency()) this.set({ service }, held);
      },
    });
  }
}
