import type { RequestHandler } from 'express';
import type { AuthRule } from '../../../config/policies/auth/auth.ts';
import { apiKeyField } from '../../../lib/apikeys/reading.ts';
import { cookieToken as cookieTokenMiddleware } from '../../../lib/auth/sources/cookieToken.ts';
import { queryToken as queryTokenMiddleware } from '../../../lib/auth/sources/queryToken.ts';
import { compose } from '../../compose.ts';
import { mayLeadTo } from '../mayLeadTo.ts';
import type { Stage } from '../stage.ts';

/** Takes the token out of the query: below `AUTH_QUERY_TOKEN_PATHS`, and where `auth` names the query as a source. */
export const queryToken: Stage = ({ parts: { settings }, service }) => {
  const below = settings.authQueryTokenPaths.filter((path) => mayLeadTo(service, path, settings));
  return composed([
    ...(below.length > 0 ? [queryTokenMiddleware({ below })] : []),
    ...namesOf(service.settings.auth, 'query').map((name) => queryTokenMiddleware({ name })),
  ]);
};

/** Takes the token out of a cookie, where `auth` names one as a source. */
export const cookieToken: Stage = ({ service: { settings } }) =>
  composed(
    namesOf(settings.auth, 'cookie').map((name) =>
      cookieTokenMiddleware({ name, passes: settings.passAuthorization }),
    ),
  );

/**
 * Takes API keys out of the fields that carry them, where `auth` names any as a source: where nobody is asked as well, since a
 * client may send its key to all paths of a service.
 */
export const apiKey: Stage = ({ service: { settings } }) => {
  const names = namesOf(settings.auth, 'apiKey');
  if (names.length === 0) return undefined;
  return apiKeyField({ names, passes: settings.passAuthorization });
};

/** The names under which cookies, the query or fields may carry what says who is calling. */
export function namesOf({ sources = [] }: AuthRule, from: 'cookie' | 'query' | 'apiKey'): string[] {
  return sources.flatMap((source) => (source.from === from ? source.name : []));
}

function composed(handlers: readonly RequestHandler[]): RequestHandler | undefined {
  return handlers.length > 1 ? compose(handlers) : handlers[0];
}
