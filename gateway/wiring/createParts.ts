import { GatheringRoom } from '../../lib/cache/stored/gatheringRoom.ts';
import { systemClock } from '../../lib/clock/clock.ts';
import { rendered } from '../../lib/metrics/rendered.ts';
import { Readiness } from '../health/readiness.ts';
import { METRICS_EVERY_MS } from '../health/wellKnown.ts';
import { exhaustedLog } from '../logs/exhaustedLog.ts';
import { mirrorLog } from '../logs/mirrorLog.ts';
import { storeErrorLog } from '../logs/storeLog.ts';
import { createRegistry } from '../registries/registry.ts';
import { createAuth } from './authParts.ts';
import { codingOf } from './coding.ts';
import { createLimits, createSharedLimits, type Limits } from './limits.ts';
import { gatewayMetrics } from './metrics/gatewayMetrics.ts';
import { trusts } from './network.ts';
import type { Parts, PartsOptions, ServiceParts } from './parts.ts';
import { createRateLimits } from './rateLimits.ts';
import { routingFacts } from './routingFacts.ts';
import { breakerNewsOf, servicesOf } from './services/services.ts';
import { stickinessOf } from './services/stickiness.ts';
import { createSpans } from './spans.ts';
import { storeHealthOf, storesOf } from './stores.ts';
import { openCertificate } from './tls/externalTls.ts';
import { openTransports } from './tls/transports.ts';

/** Makes all parts of a gateway. Rejects when the store cannot be opened. */
export async function createParts(options: Readonly<PartsOptions>): Promise<Parts> {
  const base = baseOf(options);
  const { settings, logger, clock, threads } = base;
  const certificate = await openCertificate(settings, logger, clock);
  const transports = options.transports ?? (await openTransports(base));
  const stores = options.stores ?? (await storesOf(base));
  const limits = limitsOf(base);
  // Filled in last: what each service has needs the other parts, and they ask for the services when they run.
  const services: ServiceParts[] = [];
  const metrics = gatewayMetrics({
    ...base,
    certificate,
    transports,
    stores,
    limits,
    services,
    registry: () => registry,
  });
  const registry = threads?.registry(services) ?? (await createRegistry({ ...base, services, metrics }));
  const breakerNews = breakerNewsOf({ ...base, stores, services });
  const made = { ...base, certificate, stores, limits, services, metrics, registry, breakerNews, transports };
  services.push(...servicesOf(made));
  return {
    ...made,
    gatheringRoom: new GatheringRoom(settings.memory.gatheringBytes),
    readiness: new Readiness({ store: storeHealthOf(made), registry, threads }),
    ...(await createAuth(made)),
    rateLimits: createRateLimits({ ...made, countRate: threads?.countRate }),
    facts: routingFacts(settings),
    sticky: stickinessOf(settings, threads?.secret),
    coding: codingOf(made),
    trustsPeer: trusts(settings.trustedProxies),
    onExhausted: exhaustedLog(logger, clock),
    onMirrorTrouble: mirrorLog(logger, clock),
    spans: await createSpans(made),
    scrape: scrapeOf(made),
  };
}

/** What is given from outside, or stands in for what is not. */
function baseOf(options: Readonly<PartsOptions>) {
  const { settings, logger, clock = systemClock, random = Math.random, threads } = options;
  const { onContent = () => {} } = options;
  return { settings, logger, clock, random, threads, onContent, logStoreError: storeErrorLog(logger, clock) };
}

/** The limits of this thread: with others they are one. */
function limitsOf({ settings, threads, clock }: Pick<Parts, 'settings' | 'threads' | 'clock'>): Limits {
  return threads ? createSharedLimits(settings, threads.shareOf, clock) : createLimits(settings, clock);
}

function scrapeOf({
  threads,
  metrics,
  clock,
}: Pick<Parts, 'threads' | 'metrics' | 'clock'>): Parts['scrape'] {
  return rendered({
    render: threads ? () => threads.scrape() : () => metrics.registry.metrics(),
    everyMs: METRICS_EVERY_MS,
    clock,
  });
}
