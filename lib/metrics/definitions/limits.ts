import { counter, type GaugeDefinition } from '../series/definition.ts';
import type { Reading } from '../series/gauge.ts';

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

export interface LimitReadings {
  concurrency(): Iterable<ConcurrencyReading>;
  /** The routes that have permits of their own. Without any there are no such gauges. */
  readonly routeConcurrency?: (() => Iterable<RouteConcurrencyReading>) | undefined;
  /** Permits of all services together. */
  globalLimit(): number;
  /** Streams of all services together. */
  globalStreamLimit(): number;
}

/** Requests that were too many. */
export const LIMIT_COUNTERS = {
  limitReached: counter(
    'gateway_concurrency_limit_reached_total',
    ['service'],
    "Requests, streams and WebSockets refused at a concurrency limit or at a caller's share of one.",
  ),
  rateLimited: counter(
    'gateway_rate_limited_total',
    ['policy', 'service', 'route'],
    'Requests refused at a rate limit.',
  ),
  rateLimitErrors: counter(
    'gateway_rate_limit_errors_total',
    [],
    'Requests that this gateway counted for itself, because Redis did not respond.',
  ),
};

/** How many requests and streams are under way, and how many may be. */
export function limitGauges({
  concurrency,
  globalLimit,
  globalStreamLimit,
}: LimitReadings): GaugeDefinition[] {
  return [
    {
      name: 'gateway_concurrent_requests',
      help: 'Requests under way on the external port that hold a permit of the service.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ held, service }): Reading => [held, service]),
    },
    {
      name: 'gateway_concurrency_limit',
      help: 'Requests that may hold a permit of the service on the external port.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ limit, service }): Reading => [limit, service]),
    },
    {
      name: 'gateway_global_concurrency_limit',
      help: 'Requests of all services together that may be under way on the external port.',
      labels: [],
      read: () => [[globalLimit()]],
    },
    {
      name: 'gateway_streams',
      help: 'Streams of a service open on the external port: event streams and responses that run for long.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ streams, service }): Reading => [streams, service]),
    },
    {
      name: 'gateway_stream_limit',
      help: 'Streams of a service that may be open on the external port.',
      labels: ['service'],
      read: () => Array.from(concurrency(), ({ streamLimit, service }): Reading => [streamLimit, service]),
    },
    {
      name: 'gateway_global_stream_limit',
      help: 'Streams of all services together that may be open on the external port.',
      labels: [],
      read: () => [[globalStreamLimit()]],
    },
  ];
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

/** The same of each route that has permits of its own; no gauges without such a route. */
export function routeLimitGauges({ routeConcurrency }: LimitReadings): GaugeDefinition[] {
  if (!routeConcurrency) return [];
  return ROUTE_LIMIT_GAUGES.map(({ value, ...rest }) => ({
    ...rest,
    labels: ['route'],
    read: () =>
      Array.from(routeConcurrency()).flatMap((of): Reading[] => {
        const found = value(of);
        return found === undefined ? [] : [[found, of.route]];
      }),
  }));
}
