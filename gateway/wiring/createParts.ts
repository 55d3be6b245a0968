import proxyaddr from 'proxy-addr';
import type { Settings } from '../../config/config.ts';
import { GatheringRoom } from '../../lib/cache/stored/gatheringRoom.ts';
import { systemClock } from '../../lib/clock/clock.ts';
import { Metrics, type Readings } from '../../lib/metrics/metrics.ts';
import { rendered } from '../../lib/metrics/rendered.ts';
import type { TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import { Transport } from '../../lib/proxy/transport.ts';
import { openStores } from '../../lib/store/open.ts';
import type { Stores } from '../../lib/store/store.ts';
import { Readiness } from '../health/readiness.ts';
import { StoreHealth } from '../health/storeHealth.ts';
import { METRICS_EVERY_MS } from '../health/wellKnown.ts';
import { unreadableNewsLog } from '../logs/breakerLog.ts';
import { exhaustedLog } from '../logs/exhaustedLog.ts';
import { evictionLog, storeErrorLog, storeStateLog, storeTroubleLog } from '../logs/storeLog.ts';
import { VERSION } from '../process/version.ts';
import { createRegistry } from '../registries/registry.ts';
import { createAuth } from './authParts.ts';
import { BreakerNews } from './breakerNews.ts';
import { knownLabels } from './knownLabels.ts';
import { createLimits, createSharedLimits, type Limits } from './limits.ts';
import type { Parts, PartsOptions, ServiceParts } from './parts.ts';
import { createRateLimits } from './rateLimits.ts';
import { partsOfService } from './serviceParts.ts';
import { serviceReplicas } from './serviceReplicas.ts';
import { createSpans } from './spans.ts';
import { openCertificate } from './tls.ts';

/** Makes all parts of a gateway. Rejects when the store cannot be opened. */
export async function createParts(options: Readonly<PartsOptions>): Promise<Parts> {
  const {
    settings,
    logger,
    clock = systemClock,
    random = Math.random,
    onContent = () => {},
    threads,
  } = options;
  const logStoreError = storeErrorLog(logger, clock);
  const certificate = await openCertificate(settings, logger, clock);
  const stores = options.stores ?? (await storesOf(options, logStoreError));
  const services: ServiceParts[] = [];
  const limits = threads
    ? createSharedLimits(settings, threads.shareOf, clock)
    : createLimits(settings, clock);
  const metrics = new Metrics({
    readings: {
      ...readings(services, limits),
      globalLimit: () => limits.gateway.limit,
      storeUp: async () => (await stores.trouble()) === undefined,
      storeMayEvict: async () => (await stores.eviction()) !== undefined,
      redisNodes: settings.redisNodes.length > 0 ? () => stores.nodes() : undefined,
      globalStreamLimit: () => limits.streams.limit,
      cache: () => stores.responses.usage(),
      unknownNames: () => registry.unknownNames,
      certificateExpiresAtMs: certificate && (() => certificate.pair.expiresAtMs),
    },
    known: knownLabels(settings),
    version: VERSION,
    exemplars: settings.otlpEndpoint !== undefined,
    processMetrics: threads ? 'thread' : true,
  });
  const transport = transportOf(settings);
  const registry =
    threads?.registry(services) ?? (await createRegistry({ settings, services, metrics, logger, clock }));
  const breakerNews = new BreakerNews({
    gatewayId: threads?.gatewayId,
    store: stores.tokens,
    replicasOf: (path) => services.find((service) => service.settings.path === path)?.replicas,
    onError: logStoreError,
    onUnreadable: unreadableNewsLog(logger, clock),
  });
  const known = { settings, logger, metrics, transport, registry, breakerNews, clock, random, threads };
  const replicasFor = serviceReplicas(known);
  const { responses } = stores;
  const given = { settings, responses, limits, metrics, logStoreError, clock };
  for (const service of settings.services) {
    services.push(partsOfService(service, replicasFor(service), given));
  }
  const store = new StoreHealth({
    stores,
    settled: threads?.isReplacement ? undefined : stores.settled,
    onTrouble: storeTroubleLog(logger),
  });
  return {
    settings,
    clock,
    random,
    logger,
    metrics,
    stores,
    gatheringRoom: new GatheringRoom(settings.memory.gatheringBytes),
    certificate,
    readiness: new Readiness({ store, registry, threads }),
    ...(await createAuth({ settings, stores, clock, logger, logStoreError })),
    services,
    registry,
    breakerNews,
    rateLimits: await createRateLimits({
      settings,
      stores,
      metrics,
      logStoreError,
      countRate: threads?.countRate,
    }),
    limits,
    transport,
    trustsPeer: trusts(settings.trustedProxies),
    onContent,
    logStoreError,
    onExhausted: exhaustedLog(logger, clock),
    spans: await createSpans({ settings, metrics, logger, clock }),
    scrape: rendered({
      render: threads ? () => threads.scrape() : () => metrics.registry.metrics(),
      everyMs: METRICS_EVERY_MS,
      clock,
    }),
    threads,
  };
}

function storesOf(
  { settings, logger, clock = systemClock, threads }: Readonly<PartsOptions>,
  logStoreError: (error: Error) => void,
): Promise<Stores> {
  return openStores({
    redisUrl: settings.redisUrl,
    redisNodes: settings.redisNodes,
    // A worker that replaces another must start without Redis too, since the gateway goes on without it.
    required: settings.redisRequired && !threads?.isReplacement,
    timeoutMs: settings.storeTimeoutMs,
    dataDir: settings.dataDir,
    maxResponseBytes: settings.cacheMaxBytes,
    localBytes: settings.memory.rememberedBytes,
    maxRememberedBytes: settings.memory.rememberedBytes,
    clock,
    onError: logStoreError,
    onStateChange: storeStateLog(logger),
    onEviction: evictionLog(logger),
    onWarning: (message) => void logger.warn(message),
    threads: threads?.store,
  });
}

function transportOf(settings: Settings): Transport {
  return new Transport({
    connectTimeoutMs: settings.requestTimeoutMs,
    maxHeadBytes: settings.maxResponseHeadBytes,
    idleMs: settings.upstreamKeepAliveMs,
    maxAgeMs: settings.upstreamConnectionAgeMs,
  });
}

function trusts(proxies: readonly string[]): TrustsPeer {
  if (proxies.length === 0) return () => false;
  const compiled = proxyaddr.compile([...proxies]);
  return (address) => compiled(address, 0);
}

const BREAKER_STATE = { closed: 0, open: 1, 'half-open': 2 } as const;

/** The values of the gauges, read at each scrape. */
export function readings(
  services: readonly Pick<ServiceParts, 'settings' | 'replicas' | 'limits'>[],
  limits: Limits,
) {
  return {
    replicas: () =>
      services.flatMap(({ settings, replicas }) =>
        replicas.pool.replicas.map(({ key, id, requestCount, inFlight, healthy }) => ({
          service: settings.path,
          instance: id,
          requestCount,
          inFlight,
          healthy,
          breakerState: settings.breaker ? BREAKER_STATE[replicas.breakerState(key)] : undefined,
        })),
      ),
    concurrency: () =>
      services.map(({ settings, limits: { requests, streams } }) => ({
        service: settings.path,
        held: requests.held,
        limit: requests.limit,
        streams: streams.held,
        streamLimit: streams.limit,
      })),
    routeConcurrency: routeReadings(limits),
  };
}

/** Undefined where no route has permits of its own. */
function routeReadings({ services }: Limits): Readings['routeConcurrency'] {
  const all = [...services.values()].filter(({ routes }) => routes.size > 0);
  if (all.length === 0) return undefined;
  return () =>
    all.flatMap((limits) =>
      Array.from(limits.routes, ([route, { requests, streams }]) => ({
        route,
        requests: requests === limits.requests ? undefined : requests,
        streams: streams === limits.streams ? undefined : streams,
      })),
    );
}
