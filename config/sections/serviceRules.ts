import { fits, parsePattern } from '../../lib/routing/pattern.ts';
import { quote } from '../report/problems.ts';
import type { Field, Values } from '../variables.ts';
import { variables } from '../variables.ts';
import { leadsTo, type RouteDefinition, type ServiceDefinition } from './services.ts';

/** Settings of paths without which nobody can log in or out. */
const AUTH_PATHS = ['authIssuePaths', 'authRevokePaths'] as const satisfies readonly Field[];
const ALL_PATHS = [...AUTH_PATHS, 'authQueryTokenPaths'] as const satisfies readonly Field[];

/** Which paths there are. */
interface Paths {
  readonly services: readonly Pick<ServiceDefinition, 'path'>[];
  readonly routes: readonly Pick<RouteDefinition, 'match'>[];
}

/** Problems between services and settings that are each valid but do not fit together. */
export function serviceProblems(
  paths: Paths & { readonly services: readonly ServiceDefinition[] },
  values: Values,
  env: NodeJS.ProcessEnv,
): string[] {
  const stray = ALL_PATHS.filter((field) => isSet(field, env)).flatMap((field) =>
    strayPaths(paths, values[field]).map(
      (path) =>
        `${variables[field].name} holds ${quote(path)}: expected a path of a service, ${listed(paths.services)}`,
    ),
  );
  return [...withoutReplicas(paths.services, values), ...stray];
}

/**
 * Problems of the defaults of AUTH_ISSUE_PATHS and AUTH_REVOKE_PATHS when no service has these paths: nobody can log in
 * or out.
 *
 * @param tokenRoutes what routes do with tokens, in place of these variables
 */
export function authWarnings(
  paths: Paths,
  values: Pick<Values, (typeof AUTH_PATHS)[number]>,
  env: NodeJS.ProcessEnv,
  tokenRoutes: readonly ('issue' | 'revoke' | undefined)[] = [],
): string[] {
  return AUTH_PATHS.filter((field) => !isSet(field, env)).flatMap((field) => {
    const stray = strayPaths(paths, values[field]);
    const token = field === 'authIssuePaths' ? 'issue' : 'revoke';
    if (stray.length === 0 || tokenRoutes.includes(token)) return [];
    const { name } = variables[field];
    const what =
      field === 'authIssuePaths' ? 'no path is open to users without a token' : 'no path revokes a token';
    return [`${name} is not set, and no service has the paths of its default (${stray.join(', ')}): ${what}`];
  });
}

function withoutReplicas(services: readonly ServiceDefinition[], { serviceDiscovery }: Values): string[] {
  if (serviceDiscovery !== undefined) return [];
  return services
    .filter(({ upstreams = [] }) => upstreams.length === 0)
    .map(
      ({ path }) =>
        `The service ${path} has no upstreams and SERVICE_DISCOVERY_URL is not set: expected one of the two, or ` +
        'nothing could ever answer for it',
    );
}

function strayPaths({ services, routes }: Paths, paths: readonly string[]): string[] {
  const patterns = routes.map(({ match }) => parsePattern(match.path));
  return paths.filter(
    (path) =>
      !services.some((service) => leadsTo(service, path)) && !patterns.some((pattern) => fits(pattern, path)),
  );
}

function listed(services: readonly Pick<ServiceDefinition, 'path'>[]): string {
  const [first = '/'] = services.map(({ path }) => path);
  return services.length === 1 ? `${first}/...` : `such as ${first}/...`;
}

function isSet(field: Field, env: NodeJS.ProcessEnv): boolean {
  return Boolean(env[variables[field].name]?.trim());
}
