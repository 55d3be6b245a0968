import type { Readings } from '../../../lib/metrics/metrics.ts';

/** What a gateway shows that has no services and only what every gateway has. */
export const NO_READINGS: Readings = {
  replicas: () => [],
  concurrency: () => [],
  globalLimit: () => 100,
  globalStreamLimit: () => 1000,
  storeUp: async () => true,
  storeMayEvict: async () => false,
  redisNodes: undefined,
  cache: undefined,
  unknownNames: () => new Map(),
  certificateExpiresAtMs: undefined,
};
