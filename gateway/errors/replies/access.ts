import { type Reply, reply } from './reply.ts';

/** Requests of somebody who may not. */
export const ACCESS_REPLIES = {
  token_missing: reply(401, 'Token missing', 'Send Authorization: Bearer <token>.', 'http_request_denied'),
  token_invalid: reply(401, 'Token invalid', 'Log in again to get a valid token.', 'http_request_denied'),
  token_expired: reply(401, 'Token expired', 'Log in again to get a new token.', 'http_request_denied'),
  token_revoked: reply(401, 'Token revoked', 'Log in again to get a new token.', 'http_request_denied'),
  api_key_missing: reply(
    401,
    'API key missing',
    'Send an API key in the field that WWW-Authenticate names.',
    'http_request_denied',
  ),
  api_key_invalid: reply(
    401,
    'API key invalid',
    'Send one API key as it was given to you, and no token with it.',
    'http_request_denied',
  ),
  api_key_expired: reply(401, 'API key expired', 'Ask an operator for a new one.', 'http_request_denied'),
  api_key_revoked: reply(401, 'API key revoked', 'Ask an operator for a new one.', 'http_request_denied'),
  insufficient_scope: reply(
    403,
    'Insufficient scope',
    'The token or API key is good and does not allow this. Ask for one with the role or scope that it takes.',
    'http_request_denied',
  ),
  origin_not_allowed: reply(
    403,
    'Origin not allowed',
    'Pages of this origin may not open WebSockets or change anything here with cookies.',
    'http_request_denied',
  ),
  address_refused: reply(
    403,
    'Address refused',
    'Clients of this address may not come here.',
    'http_request_denied',
  ),
} as const satisfies Record<string, Reply>;
