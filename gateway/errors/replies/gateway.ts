import { type Reply, reply } from './reply.ts';

/** Requests that the gateway itself could not serve. */
export const GATEWAY_REPLIES = {
  store_unavailable: reply(
    503,
    'Store unavailable',
    'The token could not be checked or revoked. Try again.',
    'proxy_internal_error',
  ),
  keys_unavailable: reply(
    503,
    'Keys unavailable',
    'The keys that tokens are checked with are not known yet. Try again.',
    'proxy_internal_error',
  ),
  gateway_exhausted: reply(
    503,
    'Gateway exhausted',
    'The gateway has no connection left for this request. Try again.',
    'proxy_internal_error',
  ),
  draining: reply(
    503,
    'Gateway is shutting down',
    'Try again: another gateway will take the request.',
    'proxy_internal_error',
  ),
  not_cached: reply(
    504,
    'Not in the cache',
    'only-if-cached was asked for, and nothing that is stored will do.',
    'proxy_internal_response',
  ),
  internal_error: reply(
    500,
    'Internal error',
    'The gateway failed. The request id names the log line.',
    'proxy_internal_error',
  ),
} as const satisfies Record<string, Reply>;
