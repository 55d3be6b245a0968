import { type Reply, reply } from './reply.ts';

/** Requests that are more than there may be. */
export const LIMIT_REPLIES = {
  service_busy: reply(
    429,
    'Service busy',
    'The service is at its concurrency limit. Try again.',
    'connection_limit_reached',
  ),
  gateway_busy: reply(
    429,
    'Gateway busy',
    'The gateway is at its concurrency limit. Try again.',
    'connection_limit_reached',
  ),
  streams_busy: reply(
    429,
    'Too many streams',
    'As many streams are open as the service or the gateway allows. Try again later.',
    'connection_limit_reached',
  ),
  upgrades_busy: reply(
    429,
    'Too many WebSockets',
    'As many WebSockets are open as the gateway allows. Try again later.',
    'connection_limit_reached',
  ),
  fair_share_used: reply(
    429,
    'Your share is in use',
    'You hold as much of a limit as one caller may while others ask. Wait for some of your requests to end.',
    'connection_limit_reached',
  ),
  rate_limited: reply(
    429,
    'Too many requests',
    'You have made as many requests as you may in this time. Retry-After says when to go on.',
    'http_request_denied',
  ),
} as const satisfies Record<string, Reply>;
