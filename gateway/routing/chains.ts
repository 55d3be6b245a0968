import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../config/policies/policies.ts';
import type { Route, RouteSide } from '../../config/sections/services.ts';
import { publicPathOf } from '../../config/sections/stickyCookies.ts';
import { compose } from '../compose.ts';
import { partsOfRoute, type ServiceParts } from '../wiring/parts.ts';
import { type RoutedRule, ruleFor } from './byRoute.ts';
import { fixedResponse } from './fixedResponse.ts';

/** How much of a chain: all of it, or of a route that is split what comes before the choice of a side, or after it. */
export type Extent = 'whole' | 'untilChoice' | 'fromChoice';

export interface ChainsOptions {
  readonly services: readonly ServiceParts[];
  /**
   * Makes the handlers for requests to this service, in the order in which they run. Called at start: once for each service,
   * and for each of the settings that routes to it have.
   */
  readonly chainFor: (service: ServiceParts, extent: Extent) => readonly RequestHandler[];
  /** Makes the handlers that say what stands in responses of a route that no service gets. */
  readonly responseHandlersFor: (policies: PolicySettings) => readonly RequestHandler[];
  /** Makes the handlers that refuse clients of such a route by their address. */
  readonly addressHandlersFor: (policies: PolicySettings) => readonly RequestHandler[];
}

/** Makes the chains of routes. Those of the same settings have one: thousands of routes take the memory of a few. */
export class Chains {
  readonly #options: ChainsOptions;
  readonly #services: ReadonlyMap<string, ServiceParts>;
  readonly #chains = new Map<string, RequestHandler>();
  readonly #fieldHandlers = new Map<string, RequestHandler>();

  constructor(options: ChainsOptions) {
    this.#options = options;
    this.#services = new Map(options.services.map((service) => [service.settings.path, service]));
  }

  /** What is to be done with the requests that a route is for. */
  ruleFor(route: Route): RoutedRule {
    const { action, settings, match, sides } = route;
    const fields = this.#fieldsOf(settings);
    if (action.kind !== 'forward') {
      const addresses = this.#options.addressHandlersFor(settings);
      return ruleFor(route, compose([fields, ...addresses, fixedResponse(action, match.path)]), fields);
    }
    const { service } = action;
    const chain = sides ? this.#splitInto(route, service, sides) : this.#chainOf(route, service, 'whole');
    return ruleFor(route, chain, fields);
  }

  #fieldsOf(settings: PolicySettings): RequestHandler {
    return madeOnce(this.#fieldHandlers, JSON.stringify(settings), () =>
      compose(this.#options.responseHandlersFor(settings)),
    );
  }

  #chainOf(route: Pick<Route, 'name' | 'match' | 'settings'>, path: string, extent: Extent): RequestHandler {
    const { name, match, settings } = route;
    const service = this.#serviceAt(path);
    // Permits of its own are nobody else's.
    const owner = service.limits.routes.has(name) ? name : '';
    // The cookie that keeps a client at its replica is for the paths of one route.
    const place = settings.balance.by === 'cookie' ? publicPathOf(service.settings, match.path) : '';
    const alike = `${extent} ${path} ${owner} ${place} ${JSON.stringify(settings)}`;
    return madeOnce(this.#chains, alike, () =>
      compose(this.#options.chainFor(partsOfRoute(service, route), extent)),
    );
  }

  #splitInto(route: Route, path: string, sides: readonly RouteSide[]): RequestHandler {
    const own = partsOfRoute(this.#serviceAt(path), route);
    const handlers = sides.map(({ service, weight, settings }) => ({
      service,
      weight,
      handler: this.#chainOf({ ...route, settings }, service, 'fromChoice'),
    }));
    return compose(this.#options.chainFor({ ...own, sides: handlers }, 'untilChoice'));
  }

  #serviceAt(path: string): ServiceParts {
    return this.#services.get(path) as ServiceParts;
  }
}

function madeOnce<Made>(all: Map<string, Made>, key: string, make: () => Made): Made {
  const made = all.get(key) ?? make();
  all.set(key, made);
  return made;
}
