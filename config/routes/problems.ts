import { type PatternError, parsePattern } from '../../lib/routing/pattern.ts';
import { RouteTable } from '../../lib/routing/routeTable.ts';
import { parseTemplate } from '../../lib/routing/template.ts';
import { type FileProblem, pathText } from '../file/issues.ts';
import { quote } from '../report/problems.ts';
import { suggest } from '../report/suggest.ts';
import type { RouteDefinition, ServiceDefinition } from '../sections/services.ts';
import { nameOf, restOf } from './complete.ts';
import { fixedProblems, type Written } from './fixedProblems.ts';
import { type Placed, redirectLoops } from './loops.ts';

/** First segments under which the external port serves itself: see `wellKnown`. */
const OWN_SEGMENTS: ReadonlySet<string> = new Set(['metrics', 'healthz', 'readyz']);

/** What is wrong with routes, and between them; one that is wrong by itself leaves a gap. */
export function routeProblems(
  services: readonly (ServiceDefinition | undefined)[],
  routes: readonly (RouteDefinition | undefined)[],
): FileProblem[] {
  const free = placed(routes, ['routes']);
  const ofServices = services.map((service, index) =>
    placed(service?.routes ?? [], ['services', index, 'routes']),
  );
  const all = [...ofServices.flat(), ...free];
  const tables = free.length > 0 ? [[...all, ...restsOf(services)]] : ofServices;
  return [
    ...all.flatMap(wrongTemplate),
    ...free.flatMap(ownPath),
    ...sameNames(all),
    ...tables.flatMap(clashes),
    ...tables.flatMap(redirectLoops),
  ];
}

/**
 * A problem for each route that does not say what becomes of its requests, or says it twice, and for what does nothing beside that.
 *
 * @param data what a file holds, which may be anything
 * @param names of the services
 */
export function actionProblems(data: unknown, names: readonly string[]): FileProblem[] {
  const { services, routes } = (data ?? {}) as Readonly<Record<string, unknown>>;
  const ofServices = listOf(services).flatMap((service, index) =>
    listOf(service.routes).flatMap((route, at) => [
      ...severalActions(route, ofService(route), ['services', index, 'routes', at]),
      ...fixedProblems(route, ['services', index, 'routes', at]),
    ]),
  );
  const free = listOf(routes).flatMap((route, at) => [
    ...severalActions(route, ['service', 'split', 'redirect', 'respond'], ['routes', at]),
    ...unknownService(route, names, ['routes', at]),
    ...fixedProblems(route, ['routes', at]),
  ]);
  return [...ofServices, ...free];
}

/** Of a route of a service. What is split may be rewritten as well. */
function ofService({ split }: Written): readonly string[] {
  return [split === undefined ? 'rewrite' : 'split', 'redirect', 'respond'];
}

function severalActions(
  route: Written,
  actions: readonly string[],
  at: readonly PropertyKey[],
): FileProblem[] {
  const [first, second] = actions.filter((action) => route[action] !== undefined);
  if (second !== undefined) {
    const path = [...at, second];
    return [
      { path, text: `${pathText(path)} stands beside ${first}: expected one of ${actions.join(', ')}` },
    ];
  }
  if (actions[0] !== 'service') return [];
  if (first === undefined)
    return [
      {
        path: at,
        text: `${pathText(at)} does not say what becomes of its requests: expected one of ${actions.join(', ')}`,
      },
    ];
  if (first === 'service' || first === 'split' || route.rewrite === undefined) return [];
  const path = [...at, 'rewrite'];
  return [{ path, text: `${pathText(path)} stands beside ${first}: expected it beside a service or split` }];
}

/** A problem if `service` is a name that no service has. */
export function unknownService(
  { service }: Written,
  names: readonly string[],
  at: readonly PropertyKey[],
): FileProblem[] {
  if (typeof service !== 'string' || names.includes(service)) return [];
  const path = [...at, 'service'];
  const meant = suggest(service, names);
  const expected = meant ? `did you mean ${meant}?` : `expected one of ${names.join(', ')}`;
  return [{ path, text: `${pathText(path)} is ${quote(service)}, which is no service: ${expected}` }];
}

/** The objects of a list that may be anything. */
export function listOf(list: unknown): Written[] {
  return Array.isArray(list)
    ? list.map((each) => (typeof each === 'object' && each !== null ? each : {}))
    : [];
}

function placed(routes: readonly (RouteDefinition | undefined)[], list: readonly PropertyKey[]): Placed[] {
  return routes.flatMap((route, index) => (route ? [{ route, at: [...list, index] }] : []));
}

/** What each service gets that none of its routes is for. */
function restsOf(services: readonly (ServiceDefinition | undefined)[]): Placed[] {
  return services.flatMap((service, index) => {
    const route = service && restOf(service);
    return route ? [{ route, at: ['services', index] }] : [];
  });
}

function wrongTemplate({ route: { match, action }, at }: Placed): FileProblem[] {
  const [template, field] =
    action.kind === 'redirect'
      ? [action.to, ['redirect', 'to']]
      : [action.kind === 'forward' ? action.rewrite : undefined, ['rewrite']];
  if (template === undefined) return [];
  try {
    parseTemplate(template, parsePattern(match.path));
    return [];
  } catch (error) {
    const path = [...at, ...field];
    return [
      { path, text: `${pathText(path)} is ${quote(template)}: expected ${(error as PatternError).message}` },
    ];
  }
}

function ownPath({ route: { match }, at }: Placed): FileProblem[] {
  const [, first = ''] = match.path.split('/');
  if (!OWN_SEGMENTS.has(first)) return [];
  const path = [...at, 'match', 'path'];
  return [
    {
      path,
      text: `${pathText(path)} is ${quote(match.path)}: expected another, the gateway serves /${first} itself`,
    },
  ];
}

function sameNames(routes: readonly Placed[]): FileProblem[] {
  const first = new Map<string, Placed>();
  return routes.flatMap((placed) => {
    const name = placed.route.name ?? nameOf(placed.route.match);
    const other = first.get(name);
    if (!other) first.set(name, placed);
    // Where they are written alike, they are equal as well.
    if (!other || (placed.route.name ?? other.route.name) === undefined) return [];
    const path = [...placed.at, 'name'];
    return [
      {
        path,
        text: `${pathText(path)} is ${quote(name)}: expected another, ${pathText(other.at)} is called so`,
      },
    ];
  });
}

/** A problem for each two routes that are equally specific, and that one request can match. */
function clashes(routes: readonly Placed[]): FileProblem[] {
  const rules = routes.map(({ route, at }) => ({
    name: '',
    match: route.match,
    spelling: 'any' as const,
    at,
  }));
  return new RouteTable(rules).clashes.map(([first, second]) => {
    // A service is found by its path, and has no priority to change.
    const [one, other] = isService(second) ? [second, first] : [first, second];
    const path = [...other.at, 'match'];
    const text = `${pathText(path)} is equal to ${pathText(matchOf(one))}, and one request can match both: expected a higher priority for one of them`;
    return { path, text };
  });
}

/** A service has no `match`: its path says which requests it is for. */
function matchOf(placed: Pick<Placed, 'at'>): readonly PropertyKey[] {
  return [...placed.at, isService(placed) ? 'path' : 'match'];
}

function isService({ at }: Pick<Placed, 'at'>): boolean {
  return at[0] === 'services' && at.length === 2;
}
