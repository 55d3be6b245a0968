import { Writable } from 'node:stream';
import type { Settings } from '../../config/config.ts';
import { systemClock } from '../../lib/clock/clock.ts';
import { createLogger } from '../../lib/logging/logger.ts';
import { Channels } from '../../lib/store/channels.ts';
import { MemoryStore } from '../../lib/store/memory/memory.ts';
import { type Stores, StoreUnavailableError, type TokenStore } from '../../lib/store/store.ts';
import { createParts } from '../wiring/createParts.ts';
import type { Parts } from '../wiring/parts.ts';
import { idleTransports } from '../wiring/tls/transports.ts';

/**
 * The parts of a gateway with these settings that reads and writes no files, opens no connections and logs nothing. Requests may
 * be routed by it, and must not go further.
 */
export function dryParts(settings: Settings): Promise<Parts> {
  return createParts({
    settings: {
      ...settings,
      redisUrl: undefined,
      redisNodes: [],
      serviceDiscovery: undefined,
      jwksUrl: undefined,
      otlpEndpoint: undefined,
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
    },
    logger: createLogger({ level: 'error', format: 'json', stream: nowhere() }),
    stores: noStores(),
    transports: idleTransports(settings),
  });
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

function noStores(): Stores {
  const channels = new Channels(() => {});
  return {
    tokens: noTokens(),
    responses: new MemoryStore({ maxBytes: 1, channels, clock: systemClock }),
    evaluate: undefined,
    settled: Promise.resolve(),
    trouble: async () => undefined,
    degraded: async () => undefined,
    nodes: async () => [],
    eviction: async () => undefined,
    close: async () => {},
  };
}

function noTokens(): TokenStore {
  const refuse = () => Promise.reject(new StoreUnavailableError('no store is opened'));
  return {
    get: refuse,
    set: refuse,
    delete: refuse,
    publish: refuse,
    subscribe: async () => async () => {},
    peek: () => undefined,
    getGroup: refuse,
    peekGroup: () => undefined,
    putInGroup: refuse,
    removeFromGroup: refuse,
  };
}
