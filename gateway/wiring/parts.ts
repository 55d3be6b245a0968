import type { Settings } from '../../config/config.ts';
import type { Service } from '../../config/sections/services.ts';
import type { Authenticator } from '../../lib/auth/authenticator.ts';
import type { Revocations } from '../../lib/auth/revocation/revocations.ts';
import type { UpgradedConnections } from '../../lib/auth/revocation/upgradedConnections.ts';
import type { Verify } from '../../lib/auth/tokens/verifier.ts';
import type { GatheringRoom } from '../../lib/cache/stored/gatheringRoom.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Hedging } from '../../lib/loadbalancer/retry/hedging.ts';
import type { RetryBudget } from '../../lib/loadbalancer/retry/retryBudget.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import type { Transport } from '../../lib/proxy/transport.ts';
import type { Stores } from '../../lib/store/store.ts';
import type { Certificate } from '../../lib/tls/certificate.ts';
import type { Spans } from '../../lib/tracing/spans.ts';
import type { Readiness } from '../health/readiness.ts';
import type { Registry } from '../registries/contract.ts';
import type { Threads } from '../threads/threads.ts';
import type { BreakerNews } from './breakerNews.ts';
import type { Limits, ServiceLimits } from './limits.ts';
import type { RateLimits } from './rateLimits.ts';
import type { ServiceReplicas } from './replicas.ts';

/** One service with what the gateway keeps for it. */
export interface ServiceParts {
  readonly settings: Service;
  readonly replicas: ServiceReplicas;
  readonly hedging: Hedging;
  readonly retryBudget: RetryBudget;
  readonly limits: ServiceLimits;
}

/** Everything both apps are built from: made once, owned by the gateway. */
export interface Parts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly stores: Stores;
  /** For responses on their way into the cache, of all services together. */
  readonly gatheringRoom: GatheringRoom;
  /** Of the external port; undefined: it speaks plain HTTP. */
  readonly certificate: Certificate | undefined;
  readonly readiness: Readiness;
  readonly verify: Verify;
  readonly authenticator: Authenticator;
  readonly revocations: Revocations;
  readonly upgradedConnections: UpgradedConnections;
  /** Ends what fetches keys in the background. */
  readonly stopKeys: () => void;
  readonly services: readonly ServiceParts[];
  readonly registry: Registry;
  readonly breakerNews: BreakerNews;
  readonly rateLimits: RateLimits;
  readonly limits: Limits;
  readonly transport: Transport;
  readonly trustsPeer: TrustsPeer;
  /** Told the size of each piece of content that passes. */
  readonly onContent: (bytes: number) => void;
  readonly logStoreError: (error: Error) => void;
  /** Told when this machine or process lacks what a connection needs. */
  readonly onExhausted: (error: Error) => void;
  /** Records requests for OpenTelemetry, where that is wanted. */
  readonly spans: Spans | undefined;
  /** Every metric, as text that is at most a second old. */
  readonly scrape: () => Promise<string>;
  /** Undefined: this thread is the gateway. */
  readonly threads: Threads | undefined;
}

export interface PartsOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Called with the size of each piece of content that passes, either way. */
  readonly onContent?: (bytes: number) => void;
  /** When the gateway is one of several threads. */
  readonly threads?: Threads;
}
