import type { WrittenFile } from '../file/gatewayFile.ts';
import type { Level } from '../policies/origins.ts';
import { POLICIES } from '../policies/policies.ts';
import type { Route, Service } from '../sections/services.ts';
import type { Routing } from './complete.ts';

/** From the inside out. What none of them says, a variable does. */
export type LevelName = 'route' | 'service' | 'defaults';

/** One level of a file that something inherits from. */
export interface FileLevel extends Level<LevelName> {
  /** Where in the file it stands. */
  readonly at: readonly PropertyKey[];
}

/**
 * The levels that say what holds for the requests of a route, or of a service without one, the innermost first.
 *
 * @param routing what was made of `written`
 */
export function levelsFor(
  { data }: WrittenFile,
  routing: Routing,
  { service, route }: { readonly service: Service | undefined; readonly route: Route | undefined },
): FileLevel[] {
  const levels: FileLevel[] = [];
  const add = (name: LevelName, data: object | undefined, at: readonly PropertyKey[]) => {
    if (data) levels.push({ name, says: policiesOf(data), at });
  };
  // What is completed stands in the order in which it is written.
  const free = route ? routing.routes.indexOf(route) : -1;
  if (free !== -1) add('route', data.routes?.[free], ['routes', free]);
  const index = service ? routing.services.findIndex(({ path }) => path === service.path) : -1;
  const own = data.services?.[index];
  // A route that is split may stand at another service than the one that was chosen.
  const owner = route ? routing.services.findIndex(({ routes }) => routes.includes(route)) : -1;
  const at = route ? (routing.services[owner]?.routes.indexOf(route) ?? -1) : -1;
  if (at !== -1) add('route', data.services?.[owner]?.routes?.[at], ['services', owner, 'routes', at]);
  add('service', own, ['services', index]);
  add('defaults', data.defaults, ['defaults']);
  return levels;
}

/** Where the route stands in the file: its `match`. Undefined: it is all the rest of a service. */
export function placeOfRoute(written: WrittenFile, routing: Routing, route: Route): string | undefined {
  const service = routing.services.find(({ routes }) => routes.includes(route));
  const [level] = levelsFor(written, routing, { service, route });
  return level?.name === 'route' ? written.placeOf([...level.at, 'match']) : undefined;
}

function policiesOf(data: object): object {
  return Object.fromEntries(Object.entries(data).filter(([name]) => name in POLICIES));
}
