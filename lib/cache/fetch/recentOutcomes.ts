import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock/clock.ts';
import { shortened } from '../../util/shortened.ts';
import { type Audience, audienceText, EVERYONE } from '../stored/key.ts';
import type { CacheRequest } from './cacheRequest.ts';
import type { FetchOutcome } from './fetchContract.ts';

/** How long it is remembered that a response could not be stored, so that nobody waits for the next one. */
const UNCACHEABLE_MS = 5_000;
/** For each service. */
const MAX_BYTES = 2 * 1024 * 1024;
/** What an outcome costs beside its key. */
const OVERHEAD_BYTES = 250;

type RecentOutcome = 'shared' | 'unstorable' | 'stale';

/** What the latest fetches came to, as a guess at the next one. It only decides which request waits for which. */
export class RecentOutcomes {
  readonly #outcomes: LRUCache<string, RecentOutcome>;

  constructor(clock: Clock) {
    this.#outcomes = new LRUCache({
      // Not by `max`, which takes the room for all of them at once, for each service.
      maxSize: MAX_BYTES,
      sizeCalculation: (_outcome, key) => OVERHEAD_BYTES + key.length,
      ttlResolution: 0,
      perf: { now: () => clock.ticks() },
    });
  }

  /** Who will be able to use the response: its sender only, unless the last one was shared. */
  audienceOf(request: CacheRequest): Audience | undefined {
    return request.audienceFor(this.#is(request, EVERYONE, 'shared'));
  }

  /** Whether the last response could not be stored: no other request will be helped by the next one. */
  isUnstorable(request: CacheRequest): boolean {
    const audience = request.audienceFor(false);
    // What one stranger could not be given says nothing of what another may have.
    return audience !== undefined && this.#is(request, audience, 'unstorable');
  }

  /** Whether the last response was stored, and of no use without validation. */
  isStale(request: CacheRequest, audience: Audience): boolean {
    return this.#is(request, audience, 'stale');
  }

  learn(request: CacheRequest, outcome: FetchOutcome): void {
    if (outcome.kind === 'entry') {
      if (outcome.entry.terms.isShared) this.#outcomes.set(outcomeKey(request, EVERYONE), 'shared');
      else this.forget(request, EVERYONE);
    }
    if (outcome.kind === 'nothing' && outcome.because !== 'failed') {
      this.forget(request, EVERYONE);
      const audience = request.audienceFor(false);
      if (audience) {
        this.#outcomes.set(outcomeKey(request, audience), outcome.because, { ttl: UNCACHEABLE_MS });
      }
    }
  }

  /** To be called when a response for `audience` was stored after all. */
  forget(request: CacheRequest, audience: Audience): void {
    if (this.#outcomes.size > 0) this.#outcomes.delete(outcomeKey(request, audience));
  }

  /** Where nothing is remembered no key is made. */
  #is(request: CacheRequest, audience: Audience, outcome: RecentOutcome): boolean {
    return this.#outcomes.size > 0 && this.#outcomes.get(outcomeKey(request, audience)) === outcome;
  }
}

/** The names of the gateway need not be in it. */
function outcomeKey({ lookup: { resource } }: CacheRequest, audience: Audience): string {
  return `${audienceText(audience)} ${resource.service}${resource.route} ${shortened(resource.target)}`;
}
