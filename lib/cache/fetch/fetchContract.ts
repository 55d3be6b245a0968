import type { RequestHandler } from 'express';
import type { HeadCheck } from '../../response/headCheck.ts';
import type { Forward } from '../rules/status.ts';
import type { Selecting } from '../rules/vary.ts';
import type { Entries } from '../stored/entries.ts';
import type { Entry } from '../stored/entry.ts';
import type { Found } from '../stored/entryFinder.ts';
import type { Epoch } from '../stored/epochs.ts';
import type { RecorderContext } from '../stored/recorder.ts';
import type { CacheRequest } from './cacheRequest.ts';

/** What all fetches of one cache share. */
export interface FetchContext extends RecorderContext {
  /** What responds when the cache cannot. */
  readonly origin: RequestHandler;
  readonly entries: Entries;
  readonly headCheck: HeadCheck;
  /** How long past its lifetime a response may be served instead of an error, by the gateway's settings. */
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
}

export interface FetchOptions {
  /** The request for which it is begun. */
  readonly request: CacheRequest;
  readonly found: Found;
  readonly epoch: Epoch;
  /** Why the service is asked. */
  readonly reason: Forward;
  /** Whether no client waits for its response: a background revalidation. */
  readonly inBackground: boolean;
}

/** On whose behalf a fetch is made. */
export interface FetchOwner {
  /** Whether other requests wait for the outcome. */
  readonly isAwaited: boolean;
  settle(outcome: FetchOutcome): void;
  /** The key of the lease, if it is held: whoever takes it gives it back. */
  handOverLease(): string | undefined;
  giveBack(leaseKey: string | undefined): void;
}

/** What a fetch has come to, for those who have waited for it. */
export type FetchOutcome =
  | ({ readonly kind: 'entry' } & Shareable)
  /** The service has failed, and a stale response takes the place of its error. */
  | ({ readonly kind: 'stale-if-error' } & Shareable)
  /** Nothing that others could be given: each asks the service for itself. */
  | { readonly kind: 'nothing'; readonly because: NothingBecause };

/** A response, and what the request said that it belongs to. */
export interface Shareable {
  readonly entry: Entry;
  readonly selecting: Selecting;
}

/** `unstorable`: it must not be stored, or is too large. `stale`: stored, and of no use without validation. */
export type NothingBecause = 'unstorable' | 'stale' | 'failed';
