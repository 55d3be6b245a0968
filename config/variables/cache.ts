import * as kinds from '../kinds/kinds.ts';
import type { VariableGroup } from './variable.ts';

export const cache = {
  title: 'Cache',
  page: 'cache.md',
  rows: {
    getCacheTtlMs: {
      name: 'GET_CACHE_TTL',
      kind: kinds.cacheTtl,
      default: '30s',
      description:
        'How long a response to a GET is stored that does not say so itself. explicit (or 0): only what says so is stored. off: no cache.',
    },
    cacheStaleIfErrorMs: {
      name: 'CACHE_STALE_IF_ERROR',
      kind: kinds.durationOrZero,
      default: '60s',
      description:
        'How long after its lifetime a stored response may be served when the service fails or no replica is up. 0: only where the response says so itself.',
    },
    cacheMaxEntryBytes: {
      name: 'CACHE_MAX_ENTRY_BYTES',
      kind: kinds.bytes(1),
      default: '1MiB',
      description: 'Largest response that is stored.',
    },
    cacheMaxBytes: {
      name: 'CACHE_MAX_BYTES',
      kind: kinds.bytes(1),
      unset: '64 MiB, or less where memory is limited',
      description:
        'Memory for stored responses, in Redis or, without it, in the gateway; when it is full some are removed before their time. Not set: a quarter of what the memory limit leaves, up to 64 MiB; in Redis 64 MiB.',
    },
  },
} as const satisfies VariableGroup;
