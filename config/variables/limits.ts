import * as kinds from '../kinds/kinds.ts';
import { rate } from '../kinds/rates.ts';
import { count, countOrZero, type VariableGroup } from './variable.ts';

export const limits = {
  title: 'Limits',
  page: 'limits.md',
  rows: {
    globalConcurrency: {
      name: 'GLOBAL_CONCURRENCY',
      kind: count,
      default: '100',
      description: 'Requests of users in flight at a time, all services together; more get 429.',
    },
    perServiceLimit: {
      name: 'PER_SERVICE_LIMIT',
      kind: count,
      default: '10',
      description: 'The same for each service that sets no `concurrency` of its own.',
    },
    concurrencyQueue: {
      name: 'CONCURRENCY_QUEUE',
      kind: countOrZero,
      default: '0',
      description: 'Requests that may wait for a place, instead of getting the 429. 0: none.',
    },
    fairShare: {
      name: 'FAIR_SHARE',
      kind: kinds.share,
      default: '0.8',
      description:
        'The part of each of these limits that one caller may hold while another has asked within the last ten seconds, and always one at least. Of streams, WebSockets, logins, logouts and of `MAX_CONNECTIONS` nobody has more, even alone: those are held for as long as their client likes. A caller is an identity, or an address before authentication. 1: all of it.',
    },
    logoutConcurrency: {
      name: 'LOGOUT_CONCURRENCY',
      kind: count,
      default: '50',
      description:
        'Requests to `AUTH_REVOKE_PATHS` in flight at a time. They count for no other limit, so that a logout gets through when a service is full.',
    },
    maxStreams: {
      name: 'MAX_STREAMS',
      kind: countOrZero,
      default: '1000',
      description:
        'Streams of users open at a time, all services together: event streams, and responses that still run after `STREAM_AFTER`. They do not count as requests. 0: event streams get 429, and long responses go on counting as requests.',
    },
    serviceStreams: {
      name: 'SERVICE_STREAMS',
      kind: countOrZero,
      default: '100',
      description: 'The same for each service that sets no `streams` of its own.',
    },
    streamAfterMs: {
      name: 'STREAM_AFTER',
      kind: kinds.duration,
      default: '10s',
      description: 'A response that still runs so long after its request was admitted counts as a stream.',
    },
  },
} as const satisfies VariableGroup;

export const rateLimits = {
  title: 'Rate limits',
  page: 'limits.md#rates',
  rows: {
    rateLimitPerIdentity: {
      name: 'RATE_LIMIT_PER_IDENTITY',
      kind: rate,
      unset: 'none',
      description:
        'Requests that one identity (`JWT_SUBJECT_CLAIM`) may make in a time, all services and gateways together; more get 429.',
    },
    rateLimitPerAddress: {
      name: 'RATE_LIMIT_PER_ADDRESS',
      kind: rate,
      unset: 'none',
      description:
        'The same for each client address, IPv6 by /64, login included. Behind a proxy, set `TRUSTED_PROXIES` as well, or all its clients count as one.',
    },
  },
} as const satisfies VariableGroup;
