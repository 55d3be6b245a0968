import { placeOf, type ReplicaReading, type ReplicaReadings } from './definitions/replicas.ts';
import { combinations, type LabelValues } from './series/series.ts';

/** What metrics of breakers begin with: a service without breakers has none of them. */
const BREAKER_METRICS = 'gateway_circuit_breaker_';
/** And those of health checks: likewise. */
const HEALTH_METRICS = 'gateway_replica_health_';

/** Responses that dashboards and alerts wait for: the first of each must be seen as a rise from 0. */
const AWAITED_RESPONSES = [
  { method: 'GET', status: '200', origin: 'upstream' },
  { method: 'GET', status: '500', origin: 'upstream' },
  { method: 'GET', status: '502', origin: 'gateway' },
  { method: 'GET', status: '503', origin: 'gateway' },
  { method: 'GET', status: '504', origin: 'gateway' },
];

/** Label values known from the start: a counter all of whose labels are here shows their combinations at 0. */
export type KnownLabels = Readonly<
  Partial<
    Record<
      | 'service'
      | 'serviceWithBreaker'
      | 'serviceWithHealth'
      | 'result'
      | 'route'
      | 'port'
      | 'code'
      | 'reason'
      | 'problem'
      | 'coding'
      | 'cause'
      | 'outcome'
      | 'call',
      readonly string[]
    >
  >
> & {
  /** Policy, service and route of each limit by rate. */
  readonly rateLimits?: readonly LabelValues[];
  /** Service, target and result of the copies that each mirror may send. */
  readonly mirrors?: readonly LabelValues[];
};

/** What a metric with these labels shows before anything happened: rate() sees no rise without a start. */
export function knownSeries(
  labels: readonly string[],
  known: KnownLabels,
  readings: ReplicaReadings,
  name: string,
): LabelValues[] {
  if (name.startsWith(HEALTH_METRICS)) {
    return seriesOf(labels, { ...known, service: known.serviceWithHealth ?? [] }, checkedOf(readings));
  }
  return name.startsWith(BREAKER_METRICS)
    ? seriesOf(
        labels,
        { ...known, service: known.serviceWithBreaker ?? known.service ?? [] },
        breakersOf(readings),
      )
    : seriesOf(labels, known, Array.from(readings.replicas()));
}

function checkedOf({ replicas }: ReplicaReadings): ReplicaReading[] {
  return Array.from(replicas()).filter(({ passesChecks }) => passesChecks !== undefined);
}

function breakersOf({ replicas }: ReplicaReadings): ReplicaReading[] {
  return Array.from(replicas()).filter(({ breakerState }) => breakerState !== undefined);
}

function seriesOf(
  labels: readonly string[],
  known: KnownLabels,
  replicas: readonly ReplicaReading[],
): LabelValues[] {
  if (labels.includes('instance')) return replicas.map(placeOf);
  if (labels.includes('policy')) return [...(known.rateLimits ?? [])];
  if (labels.includes('target')) return [...(known.mirrors ?? [])];
  if (labels.includes('status'))
    return labels.includes('route') ? routeResponses(known) : awaitedResponses(known);
  return combinations(
    labels.map((label) => known[label as Exclude<keyof KnownLabels, 'rateLimits' | 'mirrors'>] ?? []),
  );
}

function routeResponses({ route = [] }: KnownLabels): LabelValues[] {
  return combinations([route, AWAITED_RESPONSES.map(({ status }) => status)]);
}

function awaitedResponses({ service: services = [], port: ports = [] }: KnownLabels): LabelValues[] {
  return AWAITED_RESPONSES.flatMap(({ method, status, origin }) =>
    combinations([services, [method], [status], ports, [origin]]),
  );
}
