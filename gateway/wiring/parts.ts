import type { KeyObject } from 'node:crypto';
import type { Settings } from '../../config/config.ts';
import type { Route, Service } from '../../config/sections/services.ts';
import { publicPathOf, type StickyCookie } from '../../config/sections/stickyCookies.ts';
import type { ApiKeys } from '../../lib/apikeys/apiKeys.ts';
import type { KeyRing } from '../../lib/apikeys/keyRing.ts';
import type { LastUsed } from '../../lib/apikeys/lastUsed.ts';
import type { KeysUnderWay } from '../../lib/apikeys/underWay.ts';
import type { Authenticator } from '../../lib/auth/authenticator.ts';
import type { Revocations } from '../../lib/auth/revocation/revocations.ts';
import type { TokensUnderWay } from '../../lib/auth/revocation/tokensUnderWay.ts';
import type { Verify } from '../../lib/auth/tokens/verifier.ts';
import type { ServiceCache } from '../../lib/cache/serviceCache.ts';
import type { GatheringRoom } from '../../lib/cache/stored/gatheringRoom.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Absence } from '../../lib/loadbalancer/retry/absence.ts';
import type { Hedgings } from '../../lib/loadbalancer/retry/hedgings.ts';
import type { RetryBudget } from '../../lib/loadbalancer/retry/retryBudget.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { MirrorRoom } from '../../lib/mirror/mirrorRoom.ts';
import type { TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import type { Transport } from '../../lib/proxy/transport.ts';
import type { Side } from '../../lib/split/middleware.ts';
import type { Stores } from '../../lib/store/store.ts';
import type { Certificate } from '../../lib/tls/certificate.ts';
import type { Spans } from '../../lib/tracing/spans.ts';
import type { Readiness } from '../health/readiness.ts';
import type { OnMirrorTrouble } from '../logs/mirrorLog.ts';
import type { Registry } from '../registries/contract.ts';
import type { Threads } from '../threads/threads.ts';
import type { Coding } from './coding.ts';
import type { Limits, RequestLimits, ServiceLimits } from './limits.ts';
import type { RateLimits } from './rateLimits.ts';
import type { RoutingFacts } from './routingFacts.ts';
import type { BreakerNews } from './services/breakerNews.ts';
import type { ServiceReplicas } from './services/replicas.ts';
import type { Transports } from './tls/transports.ts';

/** One service and the objects that belong to it. */
export interface ServiceParts {
  readonly settings: Service;
  readonly replicas: ServiceReplicas;
  readonly hedgings: Hedgings;
  readonly retryBudget: RetryBudget;
  readonly cache: ServiceCache;
  readonly absence: Absence;
  /** Whoever asks a replica does so over this, with the service's terms of TLS. */
  readonly transport: Transport;
  /** Bounds the copies of other services' requests that it gets. */
  readonly mirrorRoom: MirrorRoom;
  readonly limits: ServiceLimits;
  /** The permits that its requests need: those of the service or, for a route that has some, of the route. */
  readonly permits: RequestLimits;
  /** What the paths of all its requests begin with, as clients know them. */
  readonly publicPath: string;
  /** The services among which the requests of a route are divided; undefined: this one gets them all. */
  readonly sides?: readonly Side[];
}

/** A service as the requests of a route meet it. */
export function partsOfRoute(
  service: ServiceParts,
  { name, match, settings }: Pick<Route, 'name' | 'match' | 'settings'>,
): ServiceParts {
  const permits = service.limits.routes.get(name) ?? service.permits;
  const publicPath = publicPathOf(service.settings, match.path);
  return { ...service, settings: { ...service.settings, ...settings }, permits, publicPath };
}

/** What cookies there are that name replicas, and the key of what they say. */
export interface Stickiness {
  readonly cookies: readonly StickyCookie[];
  readonly key: KeyObject;
}

/** What API keys are checked, made and noted with. Each thread has its own: the store makes them agree. */
export interface ApiKeyParts {
  readonly keys: ApiKeys;
  readonly ring: KeyRing;
  readonly lastUsed: LastUsed;
  readonly underWay: KeysUnderWay;
}

/** Everything that both apps are built from. It is made once and owned by the gateway. */
export interface Parts {
  readonly settings: Settings;
  readonly facts: RoutingFacts;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly stores: Stores;
  /** Bounds the memory of responses that are being collected for the cache, of all services together. */
  readonly gatheringRoom: GatheringRoom;
  /** The external port's certificate; undefined: the port speaks plain HTTP. */
  readonly certificate: Certificate | undefined;
  readonly readiness: Readiness;
  readonly verify: Verify;
  readonly authenticator: Authenticator;
  readonly revocations: Revocations;
  readonly tokensUnderWay: TokensUnderWay;
  readonly apiKeys: ApiKeyParts;
  /** Stops fetching keys in the background. */
  readonly stopKeys: () => void;
  readonly services: readonly ServiceParts[];
  readonly registry: Registry;
  readonly breakerNews: BreakerNews;
  readonly rateLimits: RateLimits;
  readonly coding: Coding;
  readonly limits: Limits;
  /** Cookies that keep clients at their replicas; undefined: no service and no route has one. */
  readonly sticky: Stickiness | undefined;
  /** The connections to replicas; each service has its own in `ServiceParts.transport`. */
  readonly transports: Transports;
  readonly trustsPeer: TrustsPeer;
  /** To be called with the size of each piece of content, in either direction. */
  readonly onContent: (bytes: number) => void;
  readonly logStoreError: (error: Error) => void;
  /** To be called when the process or machine has no descriptors, ports or buffers for a connection. */
  readonly onExhausted: (error: Error) => void;
  readonly onMirrorTrouble: OnMirrorTrouble;
  /** Records requests for OpenTelemetry; undefined without an endpoint. */
  readonly spans: Spans | undefined;
  /** All metrics as text, at most a second old. */
  readonly scrape: () => Promise<string>;
  /** The other threads; undefined when this is the only one. */
  readonly threads: Threads | undefined;
}

export interface PartsOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Called with the size of each piece of content, in either direction. */
  readonly onContent?: (bytes: number) => void;
  /** The other threads, if there are any. */
  readonly threads?: Threads;
  /** Default: those of the settings are opened. */
  readonly stores?: Stores;
  /** Default: the files that they need are read, and watched once the gateway listens. */
  readonly transports?: Transports;
}
