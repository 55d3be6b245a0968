import { foldName } from '../../lib/loadbalancer/registry/serviceNames.ts';
import { type Said, saidAt, together } from '../policies/policies.ts';
import { quote } from '../report/problems.ts';
import { actionOf, type ForwardAction } from '../routes/actions.ts';
import { nameOf } from '../routes/complete.ts';
import { mirrorProblems } from '../routes/mirrorProblems.ts';
import { policyProblems } from '../routes/policyProblems.ts';
import { actionProblems, listOf, routeProblems } from '../routes/problems.ts';
import { splitProblems } from '../routes/splitProblems.ts';
import {
  BUILT_IN_SERVICES,
  type RouteDefinition,
  type ServiceDefinition,
  type SideDefinition,
} from '../sections/services.ts';
import { upstreamProblems } from '../sections/upstreamProblems.ts';
import { upstreamTlsProblems } from '../sections/upstreamTls.ts';
import type { ReadFile } from '../values.ts';
import { type FileProblem, pathText } from './issues.ts';
import {
  type FreeRouteData,
  freeRouteSchema,
  type GatewayFileData,
  type RouteData,
  type ServiceData,
  serviceSchema,
} from './schema.ts';

/** The services and free-standing routes of a file, or what is right of them; undefined in the place of each that is not. */
export interface Definitions<Gap = never> {
  readonly services: readonly (ServiceDefinition | Gap)[];
  readonly routes: readonly (RouteDefinition | Gap)[];
  /** What holds for whatever does not say otherwise. */
  readonly defaults: Said;
}

/** What a file says, each with what it inherits. */
export function definitionsOf({ services, routes = [], ...file }: GatewayFileData): Definitions {
  const defaults = saidAt(file.defaults ?? {}, { level: 'defaults', place: '' });
  const outer = outerOf(services ?? [], defaults);
  const definitions = services
    ? services.map((service) => toDefinition(service, defaults, outer))
    : BUILT_IN_SERVICES.map((service) => ({ ...service, says: defaults }));
  const free = routes.map((route) => toFreeRoute(route, definitions, defaults));
  return { services: definitions, routes: free, defaults };
}

/** What is right in a file in which something is wrong. */
export function rightDefinitions(data: unknown): Definitions<undefined> {
  const { services, routes } = (data ?? {}) as { readonly services?: unknown; readonly routes?: unknown };
  const right = Array.isArray(services) ? rightServices(services) : [...BUILT_IN_SERVICES];
  const known = right.filter((service) => service !== undefined);
  return {
    services: right,
    routes: Array.isArray(routes) ? routes.map((route) => rightRoute(route, known)) : [],
    defaults: {},
  };
}

function rightServices(written: readonly unknown[]): (ServiceDefinition | undefined)[] {
  const parsed = written.map((service) => serviceSchema.safeParse(service).data);
  const outer = outerOf(
    parsed.filter((service) => service !== undefined),
    {},
  );
  return parsed.map((service) => service && toDefinition(service, {}, outer));
}

function rightRoute(written: unknown, services: readonly ServiceDefinition[]): RouteDefinition | undefined {
  const route = freeRouteSchema.safeParse(written);
  return route.success ? toFreeRoute(route.data, services, {}) : undefined;
}

/** What routes inherit from services, by their names. */
type Outer = ReadonlyMap<string, Pick<Required<ServiceDefinition>, 'path' | 'says'>>;

function outerOf(services: readonly ServiceData[], defaults: Said): Outer {
  return new Map(
    services.map((service) => [
      service.name,
      { path: service.path, says: saidOf(service, service.path, defaults) },
    ]),
  );
}

/** What holds for a service. */
function saidOf(own: Said, path: string, defaults: Said): Said {
  return together(saidAt(own, { level: 'service', place: path }), defaults);
}

function toDefinition(service: ServiceData, defaults: Said, outer: Outer): ServiceDefinition {
  const { name, path, aliases, stripPrefix, routes, ...own } = service;
  const given = service.upstreams?.map((each) => (typeof each === 'string' ? { url: each } : each));
  const urls = given?.map(({ url }) => new URL(url));
  const upstreams = urls?.map(({ origin }) => origin);
  const weights = weightsOf(given ?? []);
  const basePath = urls?.[0]?.pathname.replace(/\/$/, '');
  const says = saidOf(own, path, defaults);
  const forward = { service: path, cut: stripPrefix === false ? '' : path };
  return {
    ...{ name, path, upstreams, weights, basePath, aliases, stripPrefix, says },
    routes: routes?.map((route) => toRoute(forward, route, says, outer)),
  };
}

/** By origin, of those that have one. */
function weightsOf(upstreams: readonly { readonly url: string; readonly weight?: number | undefined }[]) {
  return Object.fromEntries(
    upstreams.flatMap(({ url, weight }) => (weight === undefined ? [] : [[new URL(url).origin, weight]])),
  );
}

function toRoute(
  forward: Pick<ForwardAction, 'service' | 'cut'>,
  route: RouteData,
  says: Said,
  outer: Outer,
): RouteDefinition {
  const { name, match: written, rewrite, split, redirect, respond, ...said } = route;
  const path = written.path === '/' ? forward.service : forward.service + written.path;
  const match = { ...written, path };
  const own = saidByRoute(said, name, match);
  const action = actionOf({ rewrite, redirect, respond }, forward);
  const sides = sidesOf(split, own, outer);
  return { name, match, action, own, says: together(own, says), ...sides };
}

function saidByRoute(said: Said, name: string | undefined, match: RouteDefinition['match']): Said {
  return saidAt(said, { level: 'route', place: name ?? nameOf(match) });
}

/** That there are such services is for `splitProblems` to check. */
function sidesOf(split: RouteData['split'], own: Said, outer: Outer): Pick<RouteDefinition, 'sides'> {
  if (split === undefined) return {};
  const sides = split.flatMap(({ service, weight }): SideDefinition[] => {
    const { path, says } = outer.get(service) ?? {};
    return path === undefined || says === undefined
      ? []
      : [{ service: path, weight, outer: says, says: together(own, says) }];
  });
  return { sides };
}

function toFreeRoute(
  route: FreeRouteData,
  services: readonly ServiceDefinition[],
  defaults: Said,
): RouteDefinition {
  const { name, match, service: serviceName, rewrite, split, redirect, respond, ...said } = route;
  const own = saidByRoute(said, name, match);
  const inheritsFrom = serviceName ?? split?.[0]?.service;
  const service = services.find((each) => each.name === inheritsFrom);
  const outer = new Map(
    services.map((each) => [each.name, { path: each.path, says: each.says ?? defaults }]),
  );
  // That there is one is for `actionProblems` to check.
  const action = actionOf({ rewrite, redirect, respond }, { service: service?.path ?? '', cut: '' });
  const sides = sidesOf(split, own, outer);
  return { name, match, action, own, says: together(own, service?.says ?? defaults), ...sides };
}

/**
 * What is wrong between services and routes that are each right by themselves; one that is not leaves a gap.
 *
 * @param data all of the file, which may be anything
 */
export function problemsBetween(
  data: unknown,
  { services, routes }: Definitions<undefined>,
  readFile: ReadFile,
): FileProblem[] {
  const names = namesOf(data, services);
  return [
    ...clashes(services),
    ...upstreamProblems(data),
    ...upstreamTlsProblems(data, services, readFile),
    ...policyProblems(data),
    ...actionProblems(data, names),
    ...splitProblems(data, names, services, routes),
    ...mirrorProblems(data, names),
    ...routeProblems(services, routes),
  ];
}

/** The names of all services, also of those in which something else is wrong. */
function namesOf(data: unknown, services: readonly (ServiceDefinition | undefined)[]): string[] {
  const written = listOf((data as { readonly services?: unknown } | undefined)?.services);
  const names = services.map((service, index) => service?.name ?? written[index]?.name);
  return names.filter((name) => typeof name === 'string');
}

/**
 * A problem for each path, name and alias that leads to two services. Names that a registry's are compared with as equal,
 * whatever their letter case, lead to two as well.
 */
export function clashes(services: readonly (ServiceDefinition | undefined)[]): FileProblem[] {
  const owners = new Map<string, { readonly index: number; readonly value: string }>();
  const problems: FileProblem[] = [];
  for (const [index, service] of services.entries()) {
    for (const [path, value] of service ? claims(service) : []) {
      const claimed = path[0] === 'path' ? value : foldName(value);
      const owner = owners.get(claimed) ?? { index, value };
      owners.set(claimed, owner);
      if (owner.index === index) continue;
      const at = ['services', index, ...path];
      const text =
        `${pathText(at)} is ${quote(value)}: expected another for ${service?.name}, since ` +
        `${services[owner.index]?.name} (services[${owner.index}]) has ${quote(owner.value)}`;
      problems.push({ path: at, text });
    }
  }
  return problems;
}

function* claims({
  path,
  name,
  aliases = [],
}: ServiceDefinition): Generator<[path: PropertyKey[], value: string]> {
  yield [['path'], path];
  yield [['name'], name];
  for (const [index, alias] of aliases.entries()) yield [['aliases', index], alias];
}
