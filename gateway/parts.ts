import type { Algorithm } from 'jsonwebtoken';
import proxyaddr from 'proxy-addr';
import type { Settings } from '../config/config.ts';
import type { Service } from '../config/services.ts';
import { Authenticator } from '../lib/auth/authenticator.ts';
import { TokenRegistry } from '../lib/auth/tokenRegistry.ts';
import { createVerifier } from '../lib/auth/verifier.ts';
import { CircuitBreaker } from '../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../lib/circuitbreaker/breakers.ts';
import { type Clock, systemClock } from '../lib/clock/clock.ts';
import { Limiter } from '../lib/concurrency/limiter.ts';
import { Replica, ReplicaPool } from '../lib/loadbalancer/pool.ts';
import type { Logger } from '../lib/logging/logger.ts';
import { Metrics } from '../lib/metrics/metrics.ts';
import type { TrustsPeer } from '../lib/proxy/forwarded.ts';
import { Transport } from '../lib/proxy/transport.ts';
import { openStores } from '../lib/store/open.ts';
import type { Stores } from '../lib/store/store.ts';
import { type BreakerSubject, breakerLog } from './breakerLog.ts';
import { knownLabels } from './knownLabels.ts';
import { Readiness } from './readiness.ts';
import { storeErrorLog, storeStateLog } from './storeLog.ts';
import { VERSION } from './version.ts';

/** One service with what the gateway keeps for it. */
export interface ServiceParts {
  readonly settings: Service;
  readonly replicas: ReplicaPool;
  readonly limiter: Limiter;
}

/** Everything both apps are built from: made once, owned by the gateway. */
export interface Parts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly stores: Stores;
  readonly readiness: Readiness;
  readonly authenticator: Authenticator;
  readonly services: readonly ServiceParts[];
  readonly breakers: CircuitBreakers;
  readonly gatewayLimiter: Limiter;
  readonly upgrades: Limiter;
  readonly transport: Transport;
  readonly trustsPeer: TrustsPeer;
  /** Told the size of each piece of content that passes. */
  readonly onContent: (bytes: number) => void;
  readonly logStoreError: (error: Error) => void;
}

export interface PartsOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Called with the size of each piece of content that passes, either way. */
  readonly onContent?: (bytes: number) => void;
}

/** Rejects when the store cannot be opened. */
export async function createParts({
  settings,
  logger,
  clock = systemClock,
  random = Math.random,
  onContent = () => {},
}: Readonly<PartsOptions>): Promise<Parts> {
  const logStoreError = storeErrorLog(logger, clock);
  const stores = await openStores({
    redisUrl: settings.redisUrl,
    required: settings.redisRequired,
    timeoutMs: settings.storeTimeoutMs,
    dataDir: settings.dataDir,
    maxResponseBytes: settings.cacheMaxBytes,
    clock,
    onError: logStoreError,
    onStateChange: storeStateLog(logger),
  });
  const services = settings.services.map((service) => serviceParts(service, settings, random));
  const gatewayLimiter = new Limiter({ limit: settings.globalConcurrency, queue: settings.concurrencyQueue });
  const metrics = new Metrics({
    readings: {
      ...readings(services, (id) => breakers.for(id)),
      globalLimit: () => gatewayLimiter.limit,
      storeUp: () => stores.ready(),
    },
    known: knownLabels(settings.services),
    version: VERSION,
  });
  const breakers = createBreakers({ settings, logger, metrics, services, clock });
  return {
    settings,
    clock,
    logger,
    metrics,
    stores,
    readiness: new Readiness(stores),
    authenticator: createAuthenticator(settings, stores, clock, logStoreError),
    services,
    breakers,
    gatewayLimiter,
    upgrades: new Limiter({ limit: settings.maxUpgrades }),
    transport: new Transport({ connectTimeoutMs: settings.requestTimeoutMs }),
    trustsPeer: trusts(settings.trustedProxies),
    onContent,
    logStoreError,
  };
}

function serviceParts(service: Service, { concurrencyQueue }: Settings, random: () => number): ServiceParts {
  const replicas = service.upstreams.map((origin) => Replica.at(origin));
  return {
    settings: service,
    replicas: new ReplicaPool({ service: service.path, replicas, random }),
    limiter: new Limiter({ limit: service.concurrency, queue: concurrencyQueue }),
  };
}

interface BreakerParts extends Pick<Parts, 'settings' | 'logger' | 'metrics' | 'services' | 'clock'> {}

function createBreakers({ settings, logger, metrics, services, clock }: BreakerParts): CircuitBreakers {
  const threshold = settings.circuitBreakerThreshold;
  const windowMs = settings.circuitBreakerWindowMs;
  const cooldownMs = settings.circuitBreakerCooldownMs;
  const log = breakerLog({ logger, metrics, threshold, windowMs });
  return new CircuitBreakers((replicaId) => {
    const subject = subjectOf(services, replicaId);
    return new CircuitBreaker({
      threshold,
      windowMs,
      cooldownMs,
      clock,
      onEvent: (event) => log(event, subject),
    });
  });
}

function subjectOf(services: readonly ServiceParts[], replicaId: string): BreakerSubject {
  for (const { settings, replicas } of services) {
    const replica = replicas.replicas.find(({ id }) => id === replicaId);
    if (replica) return { service: settings.path, replicaId, origin: replica.url.origin };
  }
  return { service: 'none', replicaId, origin: replicaId };
}

function createAuthenticator(
  settings: Settings,
  stores: Stores,
  clock: Clock,
  onStoreError: (error: Error) => void,
): Authenticator {
  return new Authenticator({
    verify: createVerifier({
      secret: settings.jwtSecret,
      algorithms: settings.jwtAlgorithms as Algorithm[],
      clock,
    }),
    registry: new TokenRegistry({ store: stores.tokens, activeTtlMs: settings.authCacheTtlMs, clock }),
    requireActive: settings.authRequireActiveToken,
    onStoreFailure: settings.authStoreFailure,
    onStoreError,
    clock,
  });
}

function trusts(proxies: readonly string[]): TrustsPeer {
  if (proxies.length === 0) return () => false;
  const compiled = proxyaddr.compile([...proxies]);
  return (address) => compiled(address, 0);
}

const BREAKER_STATE = { closed: 0, open: 1, 'half-open': 2 } as const;

/** What the gauges show when somebody scrapes. */
function readings(services: readonly ServiceParts[], breakerOf: (replicaId: string) => CircuitBreaker) {
  return {
    replicas: () =>
      services.flatMap(({ settings, replicas }) =>
        replicas.replicas.map(({ id, requestCount, inFlight, healthy }) => ({
          service: settings.path,
          instance: id,
          requestCount,
          inFlight,
          healthy,
          breakerState: BREAKER_STATE[breakerOf(id).state],
        })),
      ),
    concurrency: () =>
      services.map(({ settings, limiter: { held, limit } }) => ({ service: settings.path, held, limit })),
  };
}
