import type { Settings } from '../../config/config.ts';
import type { Counted } from '../../lib/loadbalancer/choice/tally.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import type { LogFormat, LogLevel } from '../../lib/logging/logger.ts';
import type { Snapshot } from '../../lib/metrics/snapshots.ts';
import type { Asked } from '../../lib/ratelimit/rate.ts';
import type { ResponseChange, Swap } from '../../lib/store/memory/threadsMemory.ts';
import type { RateLimits } from '../wiring/rateLimits.ts';
import type { SharedReplica } from '../wiring/services/replicas.ts';
import type { Buffers } from './shares.ts';

/** What a worker thread begins with. */
export interface WorkerStart {
  /** With the ports to listen on. */
  readonly settings: Settings;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Workers are numbered for the log; the number of one that has ended is not used again. */
  readonly worker: number;
  readonly threadNumber: number;
  readonly threadCount: number;
  /** Whether it replaces another worker, after the start of the gateway. */
  readonly isReplacement: boolean;
  readonly buffers: Buffers;
  /** By path prefix of the service. */
  readonly replicas: ReadonlyMap<string, readonly SentReplica[]>;
  readonly discovered: boolean;
  readonly takesRegistryCalls: boolean;
  /** Identifies all threads of this gateway in messages to other gateways. */
  readonly gatewayId: string;
  /** What all threads of this gateway know, and nobody else. */
  readonly secret: string;
  /** The swaps that the threads have made so far, for the embedded cache. */
  readonly responses: readonly ResponseChange[];
}

/** A replica and its shared memory, in a form that can be sent to another thread. */
export interface SentReplica extends Omit<SharedReplica, 'url' | 'counts' | 'breaker'> {
  readonly href: string;
  readonly counts: SharedArrayBuffer;
  readonly breaker: SharedArrayBuffer;
}

/** Notices from the main thread to a worker. */
export type ToWorker =
  | { readonly kind: 'replicas'; readonly path: string; readonly replicas: readonly SentReplica[] }
  /** The registry has been asked for the first time. */
  | { readonly kind: 'discovered' }
  | { readonly kind: 'response'; readonly change: ResponseChange }
  | { readonly kind: 'level'; readonly level: LogLevel }
  /** The worker is to end after its requests. */
  | { readonly kind: 'drain' };

/** Calls from the main thread to a worker: for a `Snapshot` of its metrics. */
export type WorkerQuestion = { readonly kind: 'metrics' };

/** Notices from a worker to the main thread. */
export type FromWorker =
  | {
      readonly kind: 'listening';
      readonly externalPort: number;
      readonly internalPort: number;
      readonly httpPort?: number | undefined;
    }
  /** The worker cannot start. The message says why. */
  | { readonly kind: 'failed'; readonly message: string }
  /** After an uncaught error: the worker takes no new requests and ends after those it has. */
  | { readonly kind: 'ending' }
  /** The worker's final metrics. */
  | { readonly kind: 'last'; readonly metrics: Snapshot }
  /** How many requests were sent to each replica. */
  | { readonly kind: 'increments'; readonly counts: readonly Counted[] }
  | { readonly kind: 'deregister'; readonly replica: Registered }
  | { readonly kind: 'response'; readonly change: ResponseChange };

/** Calls from a worker to the main thread. */
export type MainQuestion =
  /** The metrics of all threads, as text. */
  | { readonly kind: 'scrape' }
  /** Counts one request; the result is a `Verdict`. */
  | { readonly kind: 'rate'; readonly counter: keyof RateLimits; readonly asked: readonly Asked[] }
  /** The result is `Swapped`. */
  | { readonly kind: 'swap'; readonly swap: Swap };
