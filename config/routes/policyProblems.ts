import type { z } from 'zod';
import { type FileProblem, pathText } from '../file/issues.ts';
import { fileSchema, freeRouteSchema, serviceSchema } from '../file/schema.ts';
import { problemsOf, type Said, together } from '../policies/policies.ts';

type Level = Parameters<typeof problemsOf>[2];

/**
 * What is wrong with policies that several levels of a file say together, at the innermost of them that says something. Of
 * what is wrong by itself nothing is said.
 *
 * @param data all of the file, which may be anything
 */
export function policyProblems(data: unknown): FileProblem[] {
  const { defaults: written, services, routes } = (data ?? {}) as Readonly<Record<string, unknown>>;
  const defaults: Said = right(fileSchema.shape.defaults, written) ?? {};
  const known = listOf(services).map((service) => right(serviceSchema, service));
  return [
    ...problemsAt(['defaults'], defaults, {}, 'outer'),
    ...known.flatMap((service, index) => serviceProblems(['services', index], service, defaults)),
    ...listOf(routes).flatMap((each, index) => {
      const route = right(freeRouteSchema, each);
      if (route === undefined) return [];
      const service = known.find((one) => one !== undefined && one.name === route.service);
      return problemsAt(['routes', index], route, together(service ?? {}, defaults), 'innermost');
    }),
  ];
}

function serviceProblems(
  at: readonly PropertyKey[],
  service: z.output<typeof serviceSchema> | undefined,
  defaults: Said,
): FileProblem[] {
  if (service === undefined) return [];
  const { routes = [] } = service;
  const outer = together(service, defaults);
  return [
    ...problemsAt(at, service, defaults, routes.length === 0 ? 'innermost' : 'service'),
    ...routes.flatMap((route, index) => problemsAt([...at, 'routes', index], route, outer, 'innermost')),
  ];
}

function problemsAt(place: readonly PropertyKey[], own: Said, outer: Said, level: Level): FileProblem[] {
  return problemsOf(own, outer, level).map(({ at, text }) => {
    const path = [...place, ...at];
    return { path, text: `${pathText(path)} ${text}` };
  });
}

function right<Schema extends z.ZodType>(schema: Schema, data: unknown): z.output<Schema> | undefined {
  const { success, data: parsed } = schema.safeParse(data);
  return success ? parsed : undefined;
}

function listOf(list: unknown): unknown[] {
  return Array.isArray(list) ? list : [];
}
