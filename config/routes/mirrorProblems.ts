import { type FileProblem, pathText } from '../file/issues.ts';
import { quote } from '../report/problems.ts';
import type { Written } from './fixedProblems.ts';
import { listOf, unknownService } from './problems.ts';

/**
 * A problem for each `mirror` that names no service, or the one that gets the requests anyway.
 *
 * @param data what a file holds, which may be anything
 * @param names of the services
 */
export function mirrorProblems(data: unknown, names: readonly string[]): FileProblem[] {
  const { services, routes } = (data ?? {}) as Readonly<Record<string, unknown>>;
  return [
    ...listOf(services).flatMap((service, index) => [
      ...mirrorProblem(service, service.name, names, ['services', index]),
      ...listOf(service.routes).flatMap((route, at) =>
        mirrorProblem(route, receiverOf(route, service.name), names, ['services', index, 'routes', at]),
      ),
    ]),
    ...listOf(routes).flatMap((route, index) =>
      mirrorProblem(route, receiverOf(route, route.service), names, ['routes', index]),
    ),
  ];
}

/** Who gets the requests; undefined where several do, of which all but one may be copied to that one. */
function receiverOf({ split }: Written, service: unknown): unknown {
  return split === undefined ? service : undefined;
}

function mirrorProblem(
  { mirror }: Written,
  receiver: unknown,
  names: readonly string[],
  at: readonly PropertyKey[],
): FileProblem[] {
  if (typeof mirror !== 'object' || mirror === null) return [];
  const { service } = mirror as Written;
  const path = [...at, 'mirror', 'service'];
  if (service === undefined || service !== receiver) {
    return unknownService({ service }, names, [...at, 'mirror']);
  }
  return [
    {
      path,
      text: `${pathText(path)} is ${quote(service)}: expected another service, since this one gets the requests themselves`,
    },
  ];
}
