import type { Cancel } from '../../clock/clock.ts';
import { type FieldLines, fieldsByName } from '../../http/fields.ts';
import { validates } from '../rules/conditional.ts';
import { mayServeStaleIfError } from '../rules/reuse.ts';
import { entryOf } from '../stored/entries.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import { freshened } from '../stored/freshened.ts';
import { audienceText, EVERYONE } from '../stored/key.ts';
import type { Recording } from '../stored/recorder.ts';
import type {
  FetchContext,
  FetchOptions,
  FetchOutcome,
  FetchOwner,
  NothingBecause,
} from './fetchContract.ts';

/** How long others wait for the end of a response of unknown length: it may have none. */
const WAIT_FOR_END_MS = 1_000;
const NOT_PLANNED: Cancel = () => {};

/** A stored response after a 304. */
export interface Freshened {
  readonly entry: Entry;
  /** Whether it was stored again, and is fresh. */
  readonly stored: boolean;
}

/** What a fetch leaves behind: what is stored of its response, and one outcome for those who wait for it. */
export class Settlement {
  readonly #context: FetchContext;
  readonly #options: FetchOptions;
  readonly #owner: FetchOwner;
  readonly #requestedAtMs: number;
  #isSettled = false;
  #cancelWait = NOT_PLANNED;

  /** @param requestedAtMs when the service was asked, in milliseconds since the epoch */
  constructor(context: FetchContext, options: FetchOptions, owner: FetchOwner, requestedAtMs: number) {
    this.#context = context;
    this.#options = options;
    this.#owner = owner;
    this.#requestedAtMs = requestedAtMs;
  }

  /** Whether those who wait know the outcome. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** The stored response, as long as it may be served in place of an error (RFC 5861 section 4). */
  get fallback(): Entry | undefined {
    const stale = this.#options.found.entry;
    if (!stale) return undefined;
    const { clock, staleIfErrorMs } = this.#context;
    const ageMs = clock.now() - stale.generatedAtMs;
    return mayServeStaleIfError(stale.terms, ageMs, staleIfErrorMs) ? stale : undefined;
  }

  /** Settles early where nobody can be given the response whose head has come, or where it may have no end. */
  begin(recording: Omit<Recording, 'body'> | undefined, status: number, isLengthKnown: boolean): void {
    if (!recording) this.nothing(status >= 500 ? 'failed' : 'unstorable');
    else if (!this.#isFresh(recording)) this.nothing('stale');
    else if (!isLengthKnown) {
      // It is stored all the same, should it end.
      this.#cancelWait = this.#context.clock.after(WAIT_FOR_END_MS, () => this.nothing('unstorable'));
    }
  }

  /** The response was given whole. */
  recorded(recording: Recording): void {
    this.#settleWith(this.#store(recording));
  }

  /**
   * Freshens the stored response by a 304 (RFC 9111 section 4.3.4). Undefined where that is about another
   * representation: whoever waits asks with a request of their own.
   */
  validated(stale: Entry, fields: FieldLines): Freshened | undefined {
    if (!validates(fieldsByName(fields), namedFields(stale))) {
      this.nothing('failed');
      return undefined;
    }
    const { clock, policy } = this.#context;
    const how = { policy, requestedAtMs: this.#requestedAtMs, nowMs: clock.now() };
    const { terms, ...rest } = freshened(stale, fields, how);
    // A 304 never widens for whom the stored response is: that others may have it, a whole response must say.
    const isShared = terms?.isShared === true && stale.audience === audienceText(EVERYONE);
    const stored = terms && this.#store({ ...rest, terms: { ...terms, isShared } });
    this.#settleWith(stored);
    const entry = stored ?? { ...stale, ...rest, terms: terms ?? stale.terms };
    return { entry, stored: stored !== undefined && this.#isFresh(stored) };
  }

  /** The service has failed, and those who wait get this instead. */
  staleIfError(entry: Entry): void {
    this.#settle({ kind: 'stale-if-error', entry, selecting: this.#options.request.lookup.selecting });
  }

  /** Those who wait get nothing. */
  nothing(because: NothingBecause): void {
    this.#settle({ kind: 'nothing', because });
  }

  #settleWith(entry: Entry | undefined): void {
    const { selecting } = this.#options.request.lookup;
    if (entry && this.#isFresh(entry)) this.#settle({ kind: 'entry', entry, selecting });
    else this.nothing('stale');
  }

  #settle(outcome: FetchOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancelWait();
    this.#owner.settle(outcome);
  }

  /** Undefined where the response is only for the client of this fetch. */
  #store(recording: Recording): Entry | undefined {
    const { request, found, epoch } = this.#options;
    const { entries, onError } = this.#context;
    const audience = request.audienceFor(recording.terms.isShared);
    if (!audience) return undefined;
    const entry = entryOf(recording, audience, found.purgeVersion);
    const lease = this.#owner.handOverLease();
    entries.store(entry, audience, epoch, request.lookup, lease).catch((error) => {
      onError(error);
      this.#owner.giveBack(lease);
    });
    return entry;
  }

  #isFresh({ terms, generatedAtMs }: Pick<Recording, 'terms' | 'generatedAtMs'>): boolean {
    return generatedAtMs + terms.lifetimeMs > this.#context.clock.now();
  }
}
