import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock/clock.ts';
import { shortened } from '../../util/shortened.ts';
import { type Audience, audienceText, EVERYONE } from '../stored/key.ts';
import type { Landing } from './landing.ts';
import type { Visit } from './visit.ts';

/** How long it is remembered that what a service says under a URI cannot be stored, so that nobody waits for it. */
const UNCACHEABLE_MS = 5_000;
/** For each service. */
const MOST_BYTES = 2 * 1024 * 1024;
/** What a habit costs beside its key. */
const OVERHEAD_BYTES = 250;

type Habit = 'shared' | 'unstorable' | 'stale';

/** What answers were like of late, as a guess at the next one: it only decides who waits for whom. */
export class Habits {
  readonly #habits: LRUCache<string, Habit>;

  constructor(clock: Clock) {
    this.#habits = new LRUCache({
      // Not by `max`, which takes the room for all of them at once, for each service.
      maxSize: MOST_BYTES,
      sizeCalculation: (_habit, key) => OVERHEAD_BYTES + key.length,
      ttlResolution: 0,
      perf: { now: () => clock.ticks() },
    });
  }

  /** Who will be able to use the answer: unless it was shared of late, its sender alone. */
  audienceOf(visit: Visit): Audience | undefined {
    return visit.audienceFor(this.#is(visit, EVERYONE, 'shared'));
  }

  /** Whether the answer could not be stored of late: no other request will be helped by it. */
  isUnstorable(visit: Visit): boolean {
    const audience = visit.audienceFor(false);
    // What one stranger could not be given says nothing of what another may have.
    return audience !== undefined && this.#is(visit, audience, 'unstorable');
  }

  /** Whether the answer was stored of late, and of no use without asking again. */
  isStale(visit: Visit, audience: Audience): boolean {
    return this.#is(visit, audience, 'stale');
  }

  learn(visit: Visit, landing: Landing): void {
    if (landing.kind === 'entry') {
      if (landing.entry.terms.isShared) this.#habits.set(habitKey(visit, EVERYONE), 'shared');
      else this.unlearn(visit, EVERYONE);
    }
    if (landing.kind === 'nothing' && landing.because !== 'failed') {
      this.unlearn(visit, EVERYONE);
      const audience = visit.audienceFor(false);
      if (audience) this.#habits.set(habitKey(visit, audience), landing.because, { ttl: UNCACHEABLE_MS });
    }
  }

  /** An answer for `audience` was stored after all. */
  unlearn(visit: Visit, audience: Audience): void {
    if (this.#habits.size > 0) this.#habits.delete(habitKey(visit, audience));
  }

  /** Where nothing was learnt nothing is looked up. */
  #is(visit: Visit, audience: Audience, habit: Habit): boolean {
    return this.#habits.size > 0 && this.#habits.get(habitKey(visit, audience)) === habit;
  }
}

/** It need not tell apart whatever anybody is called. */
function habitKey({ quest: { resource } }: Visit, audience: Audience): string {
  return `${audienceText(audience)} ${resource.service} ${shortened(resource.target)}`;
}
