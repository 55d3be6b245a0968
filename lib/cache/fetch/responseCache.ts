import type { RequestHandler } from 'express';
import type { Clock } from '../../clock/clock.ts';
import { HeadCheck } from '../../response/headCheck.ts';
import type { ResponseStore } from '../../store/store.ts';
import { NotCachedError } from '../errors.ts';
import { Heads } from '../rules/heads.ts';
import { Policy } from '../rules/policy.ts';
import { reuse } from '../rules/reuse.ts';
import type { Forward } from '../rules/status.ts';
import { Entries } from '../stored/entries.ts';
import type { Entry } from '../stored/entry.ts';
import type { Found } from '../stored/entryFinder.ts';
import type { GatheringRoom } from '../stored/gatheringRoom.ts';
import type { CacheRequest } from './cacheRequest.ts';
import { CollapsedFetches } from './collapsedFetches.ts';
import type { FetchContext } from './fetchContract.ts';
import { freshenFromHead } from './headResponse.ts';
import { RecentOutcomes } from './recentOutcomes.ts';

export interface ResponseCacheOptions {
  readonly store: ResponseStore;
  readonly origin: RequestHandler;
  readonly defaultTtlMs: number;
  readonly maxBodyBytes: number;
  readonly room: GatheringRoom;
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
  readonly onDeclined: () => void;
  readonly clock: Clock;
}

/** Decides for each GET or HEAD whether a stored response will do, or the service is asked. */
export class ResponseCache {
  readonly #store: ResponseStore;
  readonly #context: FetchContext;
  readonly #recent: RecentOutcomes;
  readonly #fetches: CollapsedFetches;

  constructor({ store, defaultTtlMs, ...options }: ResponseCacheOptions) {
    const { clock, staleIfErrorMs, onError } = options;
    this.#store = store;
    this.#context = {
      ...options,
      entries: new Entries({ store, now: () => clock.now(), staleIfErrorMs, onError }),
      policy: new Policy(defaultTtlMs),
      heads: new Heads(),
      headCheck: new HeadCheck(),
    };
    this.#recent = new RecentOutcomes(clock);
    this.#fetches = new CollapsedFetches(this.#context, store, this.#recent);
  }

  /** Responds, at once where that needs nothing that is not known in this process. */
  respond(request: CacheRequest): void {
    // What could not be stored a moment ago is not there now.
    if (!request.terms.onlyIfCached && this.#recent.isUnstorable(request)) {
      request.forward(this.#context.origin, 'uri-miss');
      return;
    }
    const found = this.#context.entries.findNow(request.lookup);
    if (found) this.#use(request, found);
    else this.#respondLater(request).catch(request.next);
  }

  /** Makes everything void that is stored under a path of a service. */
  invalidate(service: string, path: string): void {
    this.#context.entries.invalidate(service, path).catch(this.#context.onError);
  }

  async #respondLater(request: CacheRequest): Promise<void> {
    const found = await this.#find(request);
    const { abortReason } = request.exchange;
    if (abortReason) request.next(abortReason);
    else if (found) this.#use(request, found);
    else request.forward(this.#context.origin, 'bypass');
  }

  async #find(request: CacheRequest): Promise<Found | undefined> {
    try {
      return await this.#context.entries.find(request.lookup);
    } catch (error) {
      this.#context.onError(error as Error);
      return undefined;
    }
  }

  #use(request: CacheRequest, found: Found): void {
    const { entry } = found;
    const nowMs = this.#context.clock.now();
    const use = entry ? reuse(entry.terms, nowMs - entry.generatedAtMs, request.terms) : 'validate';
    if (entry && use !== 'validate') {
      request.serve(entry, { kind: 'hit', ttlMs: ttlMs(entry, nowMs) }, nowMs);
      if (use === 'serve-and-revalidate') this.#fetches.revalidate(request, found);
      return;
    }
    if (request.terms.onlyIfCached) request.next(new NotCachedError());
    else this.#ask(request, found, reasonFor(request, found, nowMs));
  }

  /** No stored response will do: the service is asked, by this request or by another one that asks already. */
  #ask(request: CacheRequest, found: Found, reason: Forward): void {
    const isHead = request.req.method === 'HEAD';
    if (isHead && found.entry) freshenFromHead(request, found, this.#context);
    const isForOne = isHead || request.req.headers.range !== undefined;
    if (isForOne || !this.#isWorthStoring(request, found)) request.forward(this.#context.origin, reason);
    else this.#fetches.fetch(request, found, reason);
  }

  /** What is stored already is kept up to date. For the rest a full store may have no room. */
  #isWorthStoring({ lookup }: CacheRequest, { entry }: Found): boolean {
    if (entry || this.#store.admits(lookup.resource.target)) return true;
    this.#context.onDeclined();
    return false;
  }
}

/** Why the service is asked although something may be stored (RFC 9211 section 2.2). */
function reasonFor({ terms }: CacheRequest, { entry, missing }: Found, nowMs: number): Forward {
  if (terms.noCache) return 'request';
  if (!entry) return missing;
  return ttlMs(entry, nowMs) > 0 ? 'request' : 'stale';
}

function ttlMs({ generatedAtMs, terms }: Entry, nowMs: number): number {
  return generatedAtMs + terms.lifetimeMs - nowMs;
}
