import { type Reply, reply } from './reply.ts';

/** Requests of operators, and of browsers at the internal port. */
export const ADMIN_REPLIES = {
  admin_token_wrong: reply(
    401,
    'Admin token wrong',
    'Send Authorization: Bearer <ADMIN_TOKEN>.',
    'http_request_denied',
  ),
  admin_guesses_limited: reply(
    429,
    'Too many wrong admin tokens',
    'No token from this address is looked at before Retry-After is over.',
    'http_request_denied',
  ),
  bad_revocation: reply(
    400,
    'Bad revocation',
    'Send JSON with a valid token, a jti, or a subject and perhaps issuedBefore, an ISO 8601 time.',
    'http_request_error',
  ),
  cross_site: reply(
    403,
    'Cross-site request',
    'The internal port is for services, not for pages of other sites.',
    'http_request_denied',
  ),
  foreign_host: reply(
    403,
    'Foreign host',
    'Browsers may call the internal port by an address, a name without dots, or one of INTERNAL_NAMES.',
    'http_request_denied',
  ),
  no_such_revocation: reply(
    404,
    'No such revocation',
    'GET /admin/revocations lists those in force.',
    'http_request_error',
  ),
  too_many_revocations: reply(
    409,
    'Too many revocations',
    'Undo some, or revoke by subject.',
    'http_request_error',
  ),
  no_such_api_key: reply(
    404,
    'No such API key',
    'GET /admin/keys lists those that there are.',
    'http_request_error',
  ),
  api_key_conflict: reply(
    409,
    'API key conflict',
    'The key is revoked, or was changed at the same time, or too many that it has replaced are still good. Look at it again.',
    'http_request_error',
  ),
  too_many_api_keys: reply(
    409,
    'Too many API keys',
    'There may be 10000. Revoke those that nobody uses: lastUsedAt says when each was used.',
    'http_request_error',
  ),
} as const satisfies Record<string, Reply>;
