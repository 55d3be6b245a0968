import * as kinds from '../kinds/kinds.ts';
import { maskAll } from '../report/problems.ts';
import { filePath, type VariableGroup } from './variable.ts';

export const login = {
  title: 'Login, logout and revocation',
  page: 'tokens.md',
  rows: {
    authIssuePaths: {
      name: 'AUTH_ISSUE_PATHS',
      kind: kinds.paths,
      default: '/userManagement/auth/login,/userManagement/auth/register,/userManagement/auth/refresh',
      description:
        'The only paths of users that need no token, for `POST` and byte for byte: login, registration, and what refreshes a token by a cookie. Their responses are watched for an access token.',
    },
    authRevokePaths: {
      name: 'AUTH_REVOKE_PATHS',
      kind: kinds.paths,
      default: '/userManagement/auth/logout',
      description:
        "Paths that revoke the caller's token before they are forwarded, for every method but `GET`, `HEAD`, `OPTIONS` and `TRACE`: logout.",
    },
    authQueryTokenPaths: {
      name: 'AUTH_QUERY_TOKEN_PATHS',
      kind: kinds.pathPrefixes,
      default: '/communication',
      description:
        'Paths, with all below them, where the token of a WebSocket handshake or event stream may be the `access_token` of the query, as browsers send it with SignalR. There it is removed from every request before anybody else sees it. `none`: nowhere.',
    },
    authCacheTtlMs: {
      name: 'AUTH_CACHE_TTL',
      kind: kinds.duration,
      default: '60s',
      description: 'How long a verified token is remembered as active; never for longer than it is accepted.',
    },
    authRequireActiveToken: {
      name: 'AUTH_REQUIRE_ACTIVE_TOKEN',
      kind: kinds.flag,
      default: 'false',
      description:
        'Refuses a valid token that is not known as active, instead of accepting and remembering it.',
    },
    authStoreFailure: {
      name: 'AUTH_STORE_FAILURE',
      kind: kinds.choice('refuse', 'allow'),
      default: 'refuse',
      description:
        'When the store cannot tell whether a token was revoked: refuse with 503, or accept a token that is otherwise valid.',
    },
    adminToken: {
      name: 'ADMIN_TOKEN',
      kind: kinds.text('a secret'),
      unset: 'none, and no `/admin`',
      description:
        'What operators send as `Authorization: Bearer` to `/admin` on the internal port. Not set: there is no such path.',
      mask: maskAll,
      file: 'ADMIN_TOKEN_FILE',
    },
    adminTokenFile: {
      name: 'ADMIN_TOKEN_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A file holding that token instead, such as a Docker secret.',
    },
  },
} as const satisfies VariableGroup;
