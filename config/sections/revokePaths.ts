import type { Route, Service } from './services.ts';

interface Revoking {
  readonly authRevokePaths: readonly string[];
  readonly services: readonly Pick<Service, 'routes'>[];
  readonly routes: readonly Route[];
}

/**
 * The paths that revoke tokens: those of AUTH_REVOKE_PATHS, and of routes with `token: revoke` that name a path in full.
 * Whatever leads to one of them revokes, by whichever route.
 */
export function revokePaths({ authRevokePaths, services, routes }: Revoking): string[] {
  const own = [...services.flatMap((service) => service.routes), ...routes]
    .filter(({ settings }) => settings.token === 'revoke')
    .map(({ match }) => match.path);
  return [...authRevokePaths, ...own.filter((path) => !/[*:]/.test(path))];
}
