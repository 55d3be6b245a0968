import { allRoutes, type Routing } from '../../../config/routes/complete.ts';
import { CODINGS } from '../../../lib/compression/codings.ts';
import { UNCODED } from '../../../lib/compression/terms.ts';
import type { ProbeFailure, ProbeOutcome } from '../../../lib/healthcheck/contract.ts';
import type { KnownLabels } from '../../../lib/metrics/knownSeries.ts';
import { MIRROR_RESULTS } from '../../../lib/mirror/middleware.ts';
import { REPLIES } from '../../errors/replies/replies.ts';
import type { ListeningPort } from '../../port.ts';

/** The reasons for which the admin API refuses requests. */
const ADMIN_REFUSALS = ['wrong_token', 'no_token', 'too_many'];

/** How health checks go. */
const PROBE_RESULTS: readonly (ProbeFailure | ProbeOutcome['kind'])[] = [
  'passed',
  'status',
  'timeout',
  'unreachable',
  'broken',
  'unknown',
];

const PORTS: readonly ListeningPort[] = ['external', 'internal'];

/** Label values that counters show as 0 from the start. Without that `rate()` would miss the first event. */
export function knownLabels(routing: Routing): KnownLabels {
  const { services } = routing;
  const codes = Object.keys(REPLIES) as (keyof typeof REPLIES)[];
  const compresses =
    services.some(({ compress }) => compress) || allRoutes(routing).some(({ settings }) => settings.compress);
  return {
    service: services.map(({ path }) => path),
    serviceWithBreaker: services.filter(({ breaker }) => breaker).map(({ path }) => path),
    serviceWithHealth: services.filter(({ health }) => health).map(({ path }) => path),
    result: PROBE_RESULTS,
    route: allRoutes(routing).map(({ name }) => name),
    port: PORTS,
    call: ['list', 'update'],
    rateLimits: rateLimitsOf(routing),
    mirrors: mirrorsOf(routing),
    // Other refusals are the client's fault, and no alert watches them.
    code: codes.filter((code) => REPLIES[code].status === 429 || REPLIES[code].status >= 500),
    outcome: ADMIN_REFUSALS,
    reason: codes.filter((code) => code.startsWith('token_')),
    // Without compression its metrics have no series.
    coding: compresses ? CODINGS : [],
    cause: compresses ? UNCODED : [],
    problem: codes.filter((code) => code.startsWith('api_key_') && REPLIES[code].status === 401),
  };
}

/** Service, target and result of every copy that may be sent. */
function mirrorsOf(routing: Routing): string[][] {
  const pathOf = new Map(routing.services.map(({ name, path }) => [name, path]));
  const ofRoutes = allRoutes(routing).flatMap(({ action, settings: { mirror } }) =>
    action.kind === 'forward' ? [[action.service, mirror] as const] : [],
  );
  const pairs = [...routing.services.map(({ path, mirror }) => [path, mirror] as const), ...ofRoutes].flatMap(
    ([path, mirror]) => {
      const target = mirror && pathOf.get(mirror.service);
      return target === undefined ? [] : [`${path} ${target}`];
    },
  );
  return [...new Set(pairs)].flatMap((pair) => MIRROR_RESULTS.map((result) => [...pair.split(' '), result]));
}

/** Policy, service and route of every limit by rate. */
function rateLimitsOf(routing: Routing): string[][] {
  const ofServices = routing.services
    .filter(({ routes }) => routes.length === 0)
    .flatMap(({ path, rates }) => rates.map(({ name }) => [name, path, '']));
  const ofRoutes = allRoutes(routing).flatMap(({ name: route, action, settings: { rates } }) =>
    action.kind === 'forward' ? rates.map(({ name }) => [name, action.service, route]) : [],
  );
  return [...ofServices, ...ofRoutes];
}
