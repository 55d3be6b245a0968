import { counter } from '../series/definition.ts';

/** 1 ms to 30 s: from a cache hit to the longest deadline anybody sensible sets. */
export const LATENCY_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** The histogram of all requests. */
export const DURATIONS = {
  histogram: 'gateway_request_duration_seconds',
  labels: ['service', 'port'],
  buckets: LATENCY_BUCKETS_SECONDS,
} as const;

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

/** Whose status a client got: that of the service (a stored response's too), of the gateway, or none because it left. */
export type Origin = 'upstream' | 'gateway' | 'none';

/** Requests of both ports, and what became of them. */
export const REQUEST_COUNTERS = {
  requests: counter(
    'gateway_requests_total',
    ['service', 'method', 'status', 'port', 'origin'],
    'Responses, and whether the service (upstream) or the gateway settled the status.',
  ),
  timeouts: counter('gateway_request_timeouts_total', ['service', 'port'], 'Requests that ran out of time.'),
  errors: counter(
    'gateway_errors_total',
    ['service', 'code', 'port'],
    'Replies the gateway made itself because of an error.',
  ),
};
