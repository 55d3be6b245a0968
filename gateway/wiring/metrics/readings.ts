import type { Readings } from '../../../lib/metrics/metrics.ts';
import type { Limits } from '../limits.ts';
import type { ServiceParts } from '../parts.ts';

const BREAKER_STATE = { closed: 0, open: 1, 'half-open': 2 } as const;

/** The values of the gauges of replicas and limits, read at each scrape. */
export function readings(
  services: readonly Pick<ServiceParts, 'settings' | 'replicas' | 'limits'>[],
  limits: Limits,
) {
  return {
    replicas: () =>
      services.flatMap(({ settings, replicas }) =>
        replicas.pool.replicas.map(({ key, id, requestCount, inFlight, healthy, passesChecks }) => ({
          service: settings.path,
          instance: id,
          requestCount,
          inFlight,
          healthy,
          passesChecks: settings.health ? passesChecks : undefined,
          breakerState: settings.breaker ? BREAKER_STATE[replicas.breakerState(key)] : undefined,
        })),
      ),
    concurrency: () =>
      services.map(({ settings, limits: { requests, streams } }) => ({
        service: settings.path,
        held: requests.held,
        limit: requests.limit,
        streams: streams.held,
        streamLimit: streams.limit,
      })),
    routeConcurrency: routeReadings(limits),
    globalLimit: () => limits.gateway.limit,
    globalStreamLimit: () => limits.streams.limit,
  };
}

/** Undefined where no route has permits of its own. */
function routeReadings({ services }: Limits): Readings['routeConcurrency'] {
  // A route that is split has the same permits at each of its services.
  const all = new Map(
    [...services.values()].flatMap((limits) =>
      Array.from(limits.routes, ([route, { requests, streams }]) => [
        route,
        {
          route,
          requests: requests === limits.requests ? undefined : requests,
          streams: streams === limits.streams ? undefined : streams,
        },
      ]),
    ),
  );
  return all.size === 0 ? undefined : () => all.values();
}
