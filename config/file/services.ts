import { foldName } from '../../lib/loadbalancer/registry/serviceNames.ts';
import { RouteTable } from '../../lib/routing/routeTable.ts';
import { type Said, together } from '../policies/policies.ts';
import { quote } from '../report/problems.ts';
import { BUILT_IN_SERVICES, type RouteDefinition, type ServiceDefinition } from '../sections/services.ts';
import { variables } from '../variables.ts';
import { type FileProblem, pathText } from './issues.ts';
import { type GatewayFileData, type RouteData, type ServiceData, serviceSchema } from './schema.ts';

/** The variables that say what services are given where no file does. */
const VARIABLES = [
  [({ timeouts }) => timeouts?.request, variables.requestTimeoutMs.name],
  [({ timeouts }) => timeouts?.idle, variables.upstreamTimeoutMs.name],
  [({ limits }) => limits?.concurrency, variables.perServiceLimit.name],
  [({ limits }) => limits?.streams, variables.serviceStreams.name],
  [({ limits }) => limits?.body, variables.maxBodyBytes.name],
  [({ cache }) => (typeof cache === 'object' ? cache.ttl : cache), variables.getCacheTtlMs.name],
] as const satisfies readonly (readonly [(said: Said) => unknown, string])[];

/** The services of a file, each with what it inherits from `defaults`. */
export function definitionsOf({ services, defaults = {} }: GatewayFileData): ServiceDefinition[] {
  if (services === undefined) return BUILT_IN_SERVICES.map((service) => ({ ...service, says: defaults }));
  return services.map((service) => toDefinition(service, defaults));
}

/** The services of a file in which something is wrong; undefined in the place of each that is. */
export function rightServices(data: unknown): (ServiceDefinition | undefined)[] {
  const { services } = (data ?? {}) as { readonly services?: unknown };
  if (!Array.isArray(services)) return [];
  return services.map((written) => {
    const service = serviceSchema.safeParse(written);
    return service.success ? toDefinition(service.data, {}) : undefined;
  });
}

function toDefinition(service: ServiceData, defaults: Said): ServiceDefinition {
  const { name, path, upstreams, aliases, stripPrefix, routes, ...own } = service;
  const says = together(own, defaults);
  return {
    ...{ name, path, upstreams, aliases, stripPrefix, says },
    routes: routes?.map((route) => toRoute(path, route, says)),
  };
}

function toRoute(servicePath: string, { match, ...own }: RouteData, outer: Said): RouteDefinition {
  const path = match.path === '/' ? servicePath : servicePath + match.path;
  return { match: { ...match, path }, says: together(own, outer) };
}

/** The variables in whose place `defaults` has a value. */
export function overriddenBy({ defaults = {} }: GatewayFileData): string[] {
  return VARIABLES.filter(([said]) => said(defaults) !== undefined).map(([, name]) => name);
}

/** What is wrong between services that are each right by themselves; one that is not leaves a gap. */
export function problemsBetween(services: readonly (ServiceDefinition | undefined)[]): FileProblem[] {
  return [...clashes(services), ...doubles(services), ...routeClashes(services)];
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

/** A problem for each two routes of a service that are equally specific, and that one request can match. */
function routeClashes(services: readonly (ServiceDefinition | undefined)[]): FileProblem[] {
  return services.flatMap((service, index) => {
    const rules = (service?.routes ?? []).map(({ match }, at) => ({
      name: String(at),
      match,
      spelling: 'any' as const,
    }));
    return new RouteTable(rules).clashes.map(([first, second]) => {
      const list = ['services', index, 'routes'];
      const path = [...list, Number(second.name), 'match'];
      const text = `${pathText(path)} is equal to ${pathText([...list, Number(first.name), 'match'])}, and one request can match both: expected a higher priority for one of them`;
      return { path, text };
    });
  });
}

/** A problem for each upstream that a service names twice: replicas have equal parts, whatever such a list may mean. */
function doubles(services: readonly (ServiceDefinition | undefined)[]): FileProblem[] {
  return services.flatMap((service, index) => {
    const { upstreams = [] } = service ?? {};
    return upstreams.flatMap((upstream, at) => {
      const first = upstreams.indexOf(upstream);
      if (first === at) return [];
      const list = ['services', index, 'upstreams'];
      const text = `${pathText([...list, at])} is ${quote(upstream)}: expected another, ${pathText([...list, first])} is the same`;
      return [{ path: [...list, at], text }];
    });
  });
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
