import type { RequestHandler } from 'express';
import { NotCachedError } from '../errors.ts';
import { reuse } from '../rules/reuse.ts';
import type { Forward } from '../rules/status.ts';
import type { ServiceCache } from '../serviceCache.ts';
import type { Entry } from '../stored/entry.ts';
import type { Found } from '../stored/entryFinder.ts';
import type { GatheringRoom } from '../stored/gatheringRoom.ts';
import type { CacheRequest } from './cacheRequest.ts';
import { CollapsedFetches } from './collapsedFetches.ts';
import type { FetchContext } from './fetchContract.ts';
import { freshenFromHead } from './headResponse.ts';

export interface ResponseCacheOptions {
  readonly service: ServiceCache;
  readonly origin: RequestHandler;
  readonly defaultTtlMs: number;
  readonly maxBodyBytes: number;
  readonly room: GatheringRoom;
  readonly onDeclined: () => void;
}

/** Decides for each GET or HEAD whether a stored response will do, or the service is asked. */
export class ResponseCache {
  readonly #service: ServiceCache;
  readonly #context: FetchContext;
  readonly #fetches: CollapsedFetches;

  constructor({ service, defaultTtlMs, ...options }: ResponseCacheOptions) {
    const { entries, heads, headCheck, staleIfErrorMs, onError, clock } = service;
    const policy = service.policyFor(defaultTtlMs);
    this.#service = service;
    this.#context = { ...options, policy, entries, heads, headCheck, staleIfErrorMs, onError, clock };
    this.#fetches = new CollapsedFetches(this.#context, service);
  }

  /** Responds, at once where that needs nothing that is not known in this process. */
  respond(request: CacheRequest): void {
    // What could not be stored a moment ago is not there now.
    if (!request.terms.onlyIfCached && this.#service.recent.isUnstorable(request)) {
      request.forward(this.#context.origin, 'uri-miss');
      return;
    }
    const found = this.#context.entries.findNow(request.lookup);
    if (found) this.#use(request, found);
    else this.#respondLater(request).catch(request.next);
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
    if (entry || this.#service.store.admits(lookup.resource.target)) return true;
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
