import { type FileProblem, pathText } from '../file/issues.ts';
import { POLICIES, type Said } from '../policies/policies.ts';
import { type Guard, keepsOutAsMuch } from '../policies/strictness.ts';
import { quote } from '../report/problems.ts';
import type { RouteDefinition, ServiceDefinition } from '../sections/services.ts';
import type { Written } from './fixedProblems.ts';
import { listOf, unknownService } from './problems.ts';

/** A route that is written with a `split`, which may be anything. */
interface SplitRoute {
  readonly sides: readonly Written[];
  /** Where `split` stands. */
  readonly at: readonly PropertyKey[];
  /** Undefined where something else is wrong with the route. */
  readonly definition: RouteDefinition | undefined;
}

/**
 * What is wrong with the services among which routes divide their requests.
 *
 * @param data what a file holds, which may be anything
 * @param names of the services
 */
export function splitProblems(
  data: unknown,
  names: readonly string[],
  services: readonly (ServiceDefinition | undefined)[],
  routes: readonly (RouteDefinition | undefined)[],
): FileProblem[] {
  const written = (data ?? {}) as Readonly<Record<string, unknown>>;
  const ofServices = listOf(written.services).flatMap((service, index) =>
    splitsIn(service.routes, services[index]?.routes ?? [], ['services', index, 'routes']),
  );
  return [...ofServices, ...splitsIn(written.routes, routes, ['routes'])].flatMap((route) => [
    ...route.sides.flatMap((side, index) => unknownService(side, names, [...route.at, index])),
    ...sameSides(route),
    ...withoutWeight(route),
    ...stricterSides(route),
  ]);
}

function splitsIn(
  written: unknown,
  definitions: readonly (RouteDefinition | undefined)[],
  list: readonly PropertyKey[],
): SplitRoute[] {
  return listOf(written).flatMap(({ split }, index) =>
    Array.isArray(split)
      ? [{ sides: listOf(split), at: [...list, index, 'split'], definition: definitions[index] }]
      : [],
  );
}

function sameSides({ sides, at }: SplitRoute): FileProblem[] {
  const services = sides.map(({ service }) => service);
  return services.flatMap((service, index) => {
    if (typeof service !== 'string' || services.indexOf(service) === index) return [];
    const path = [...at, index, 'service'];
    return [{ path, text: `${pathText(path)} is ${quote(service)} once more: expected each service once` }];
  });
}

function withoutWeight({ sides, at }: SplitRoute): FileProblem[] {
  if (sides.length === 0 || sides.some(({ weight }) => weight !== 0)) return [];
  return [
    { path: at, text: `${pathText(at)} has no weight above 0: expected one, or nobody gets a response` },
  ];
}

/** Who is let in is decided before a side is chosen. So no side may keep out anybody else. */
function stricterSides({ at, definition }: SplitRoute): FileProblem[] {
  const { sides = [], says } = definition ?? {};
  // With a gap nobody knows which side is which.
  if (says === undefined) return [];
  const own = guardOf(says);
  return sides.flatMap((side) => {
    if (keepsOutAsMuch(own, guardOf(side.says))) return [];
    const text = `${pathText(at)} leads to ${side.service}, which keeps out somebody whom the route lets in: expected auth, allow and deny on the route to say what holds for all sides`;
    return [{ path: at, text }];
  });
}

function guardOf(says: Said): Guard {
  const { auth, token, allow, deny } = POLICIES;
  // None of these has a variable.
  const environment = undefined as never;
  return {
    ...auth.settings(says.auth, environment),
    ...token.settings(says.token, environment),
    ...allow.settings(says.allow, environment),
    ...deny.settings(says.deny, environment),
  };
}
