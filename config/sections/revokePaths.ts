import type { RevokingPath } from '../../lib/auth/revocation/revokePaths.ts';
import { allRoutes, type Routing } from '../routes/complete.ts';

interface Revoking extends Routing {
  readonly authRevokePaths: readonly string[];
}

/**
 * The paths that revoke tokens: those of AUTH_REVOKE_PATHS, and of routes with `token: revoke` that name a path in full.
 * Whatever leads to one of them revokes, by whichever route, with the route's methods if it names some: a login may be at the
 * same path.
 */
export function revokePaths({ authRevokePaths, services, routes }: Revoking): RevokingPath[] {
  const own = allRoutes({ services, routes })
    .filter(({ settings, match }) => settings.token === 'revoke' && !/[*:]/.test(match.path))
    .map(({ match: { path, methods } }) => (methods ? { path, methods } : path));
  return [...authRevokePaths, ...own];
}
