import { counter, type GaugeDefinition } from '../series/definition.ts';
import type { Reading } from '../series/gauge.ts';

export interface ReplicaReading {
  readonly service: string;
  readonly instance: string;
  readonly requestCount: number;
  readonly inFlight: number;
  readonly healthy: boolean;
  /** Whether it passes the gateway's own checks; undefined: it has none. */
  readonly passesChecks?: boolean | undefined;
  /** 0 closed, 1 open, 2 half-open; undefined: it has no breaker. */
  readonly breakerState: number | undefined;
}

export interface ReplicaReadings {
  replicas(): Iterable<ReplicaReading>;
}

/** Requests on their way to replicas. */
export const REPLICA_COUNTERS = {
  lbRequests: counter('gateway_lb_requests_total', ['service', 'instance'], 'Requests sent to a replica.'),
  failovers: counter(
    'gateway_failovers_total',
    ['service', 'instance'],
    'Requests tried again at another replica, by the one that gave no response.',
  ),
  hedges: counter(
    'gateway_hedges_total',
    ['service'],
    'Requests sent to a second replica as well, because the first was silent.',
  ),
  hedgesWon: counter(
    'gateway_hedges_won_total',
    ['service'],
    'Requests of those that the second replica responded to first.',
  ),
  mirrored: counter(
    'gateway_mirrored_requests_total',
    ['service', 'target', 'result'],
    'Requests of a service that were to be copied to another, by what became of the copy.',
  ),
};

/** What health checks found. */
export const HEALTH_COUNTERS = {
  healthProbes: counter(
    'gateway_replica_health_probes_total',
    ['service', 'result'],
    'Health checks of replicas, by how they went.',
  ),
  healthFailures: counter(
    'gateway_replica_health_failures_total',
    ['service', 'instance'],
    'Times that a replica was taken out because it failed its health check.',
  ),
};

/** What breakers did. */
export const BREAKER_COUNTERS = {
  breakerFailures: counter(
    'gateway_circuit_breaker_failures_total',
    ['service', 'instance'],
    'Failed calls of a replica.',
  ),
  breakerTrips: counter(
    'gateway_circuit_breaker_trips_total',
    ['service', 'instance'],
    'Times the breaker of a replica opened.',
  ),
  breakerRejected: counter(
    'gateway_circuit_breaker_rejected_total',
    ['service'],
    'Requests refused because every breaker was open.',
  ),
  breakerHeld: counter(
    'gateway_circuit_breaker_held_total',
    ['service', 'instance'],
    'Failures at which a breaker stayed closed because those of half of the replicas were open.',
  ),
};

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
    name: 'gateway_replica_health',
    help: 'Whether the replica passes its health check (1) or not (0).',
    value: ({ passesChecks }) => (passesChecks === undefined ? undefined : Number(passesChecks)),
    combine: Math.min,
  },
  {
    name: 'gateway_circuit_breaker_state',
    help: 'Breaker of the replica: 0 closed, 1 open, 2 half-open.',
    value: ({ breakerState }) => breakerState,
    combine: Math.max,
  },
];

/** The state of each replica, that of its breaker included. */
export function replicaGauges({ replicas }: ReplicaReadings): GaugeDefinition[] {
  return REPLICA_GAUGES.map(({ value, ...rest }) => ({
    ...rest,
    labels: ['service', 'instance'],
    read: () =>
      Array.from(replicas(), (replica) => readingOf(replica, value)).filter(
        (reading) => reading !== undefined,
      ),
  }));
}

function readingOf(replica: ReplicaReading, value: ReplicaGauge['value']): Reading | undefined {
  const found = value(replica);
  return found === undefined ? undefined : [found, ...placeOf(replica)];
}

/** The labels of a replica's series. */
export function placeOf({ service, instance }: ReplicaReading): [service: string, instance: string] {
  return [service, instance];
}
