import { hasValidator } from '../rules/policy.ts';
import { reuse } from '../rules/reuse.ts';
import type { Forward } from '../rules/status.ts';
import { selectingKey } from '../rules/vary.ts';
import type { ServiceCache } from '../serviceCache.ts';
import { entryOf, varyNamesOf } from '../stored/entries.ts';
import { namedFields } from '../stored/entry.ts';
import type { Found } from '../stored/entryFinder.ts';
import type { Epoch } from '../stored/epochs.ts';
import { type Audience, audienceText } from '../stored/key.ts';
import { Recorder } from '../stored/recorder.ts';
import type { CacheRequest } from './cacheRequest.ts';
import { CollapsedFetch } from './collapsedFetch.ts';
import type { FetchContext, FetchOptions, FetchOutcome, Shareable } from './fetchContract.ts';
import type { RecentOutcomes } from './recentOutcomes.ts';

/** A request that is to be fetched for. */
type Asked = Omit<FetchOptions, 'inBackground'>;

/** The fetches of one cache that are under way, and which request waits for which. */
export class CollapsedFetches {
  readonly #context: FetchContext;
  readonly #service: ServiceCache;
  readonly #recent: RecentOutcomes;
  /** By the key of the missing response. */
  readonly #underWay = new Map<string, UnderWay>();

  constructor(context: FetchContext, service: ServiceCache) {
    this.#context = context;
    this.#service = service;
    this.#recent = service.recent;
  }

  /** Waits for a fetch of the same response, or begins one. */
  fetch(request: CacheRequest, found: Found, reason: Forward): void {
    const epoch = this.#context.entries.epochFor(request.lookup, found);
    const asked = { request, found, epoch, reason };
    const audience = this.#recent.audienceOf(request);
    const isAlone = reason === 'request' || audience === undefined;
    if (isAlone || this.#recent.isStale(request, audience)) {
      this.#fetchAlone(asked);
      return;
    }
    const underWay = this.#underWay.get(fetchKey(request, found, audience, epoch));
    // Who comes after a purge must not be served what was asked for before it.
    const isCurrent = underWay?.purgeVersion === found.purgeVersion;
    if (underWay?.fetch && isCurrent) this.#waitFor(underWay.fetch, asked).catch(request.next);
    else this.#begin({ ...asked, inBackground: false }, audience);
  }

  /** Fetches a response anew while a stale one is served (RFC 5861 section 3). */
  revalidate(request: CacheRequest, found: Found): void {
    const audience = this.#recent.audienceOf(request);
    if (!audience) return;
    const epoch = this.#context.entries.epochFor(request.lookup, found);
    const underWay = this.#underWay.get(fetchKey(request, found, audience, epoch));
    if (underWay?.purgeVersion === found.purgeVersion || !this.#service.beginRevalidation()) return;
    this.#begin({ request, found, epoch, reason: 'stale', inBackground: true }, audience);
  }

  async #waitFor(fetch: CollapsedFetch, asked: Asked): Promise<void> {
    const { request, reason } = asked;
    const { clock } = this.#context;
    const outcome = await fetch.wait(request);
    const { abortReason } = request.exchange;
    if (abortReason) return request.next(abortReason);
    if (outcome === undefined || outcome.kind === 'nothing' || !isFor(request, outcome)) {
      return this.#fetchAlone(asked);
    }
    const { kind, entry } = outcome;
    const nowMs = clock.now();
    const ageMs = nowMs - entry.generatedAtMs;
    if (kind === 'stale-if-error') {
      const ttlMs = entry.terms.lifetimeMs - ageMs;
      request.serve(entry, { kind: 'forward', reason, collapsed: true, ttlMs, detail: kind }, nowMs);
    } else if (reuse(entry.terms, ageMs, request.terms) === 'serve') {
      request.serve(entry, { kind: 'forward', reason, collapsed: true }, nowMs);
    } else this.#fetchAlone(asked);
  }

  /** Asks for one request only. What comes is stored if that may be, and nobody waits for it. */
  #fetchAlone(asked: Asked): void {
    const { request, found, reason } = asked;
    if (found.entry && hasValidator(namedFields(found.entry))) {
      this.#begin({ ...asked, inBackground: false }, undefined);
      return;
    }
    this.#record(asked);
    request.forward(this.#context.origin, reason);
  }

  #record({ request, found, epoch }: Asked): void {
    const { clock, entries, onError } = this.#context;
    const recorder = new Recorder(this.#context, clock.now(), {
      recorded: (recording) => {
        const audience = request.audienceFor(recording.terms.isShared);
        if (!audience) return;
        this.#recent.forget(request, audience);
        const entry = entryOf(recording, audience, found.purgeVersion);
        entries.store(entry, audience, epoch, request.lookup).catch(onError);
      },
    });
    request.response.observe(recorder);
    // A response that breaks off has no end.
    request.exchange.onClose(() => recorder.giveUp());
  }

  /** @param audience whose requests may wait for it; undefined: nobody's */
  #begin(options: FetchOptions, audience: Audience | undefined): void {
    const { request, found, epoch, inBackground } = options;
    const key = audience && fetchKey(request, found, audience, epoch);
    const underWay: UnderWay = { fetch: undefined, purgeVersion: found.purgeVersion };
    const fetch = new CollapsedFetch(this.#context, {
      ...options,
      leaseKey: audience && this.#service.store.isShared ? leaseKey(request, found, audience) : undefined,
      store: this.#service.store,
      onSettled: (outcome: FetchOutcome) => {
        if (key && this.#underWay.get(key) === underWay) this.#underWay.delete(key);
        underWay.fetch = undefined;
        if (inBackground) this.#service.endRevalidation();
        this.#recent.learn(request, outcome);
      },
    });
    if (key) this.#underWay.set(key, underWay);
    underWay.fetch = fetch;
    fetch.start();
  }
}

/** Emptied at the end: of a `Map` whose keys come and go V8 keeps old tables, with all that was in them. */
interface UnderWay {
  fetch: CollapsedFetch | undefined;
  /** The last purge that was known when it began. */
  readonly purgeVersion: number;
}

/** Whether the response to another request is one to this request as well: meant for its sender, and selected by it. */
function isFor({ lookup }: CacheRequest, { entry, selecting }: Shareable): boolean {
  const names = varyNamesOf(entry);
  const isSelected = selectingKey(names, selecting) === selectingKey(names, lookup.selecting);
  return isSelected && lookup.audiences.some((audience) => audienceText(audience) === entry.audience);
}

/** Requests with the same key would be served the same response, as far as can be known before it is there. */
function fetchKey({ lookup }: CacheRequest, { vary }: Found, audience: Audience, { word }: Epoch): string {
  return lookup.keys.variant(audience, word, selectingKey(vary, lookup.selecting));
}

/** The same for all gateways: an epoch that is made up is known to one only. */
function leaseKey(
  { lookup }: CacheRequest,
  { epoch = '', vary, purgeVersion }: Found,
  audience: Audience,
): string {
  const variant = selectingKey(vary, lookup.selecting);
  return `cache:lease:${purgeVersion} ${lookup.keys.variant(audience, epoch, variant)}`;
}
