import { fieldValue, fieldValues } from '../../http/fields.ts';
import { pathOf } from '../../http/path.ts';
import type { Remembered, ResponseStore } from '../../store/store.ts';
import { selectingKey, varyNames } from '../rules/vary.ts';
import { type Entry, encodeMarker, LiveEntry } from './entry.ts';
import { EntryFinder, type Found, type Lookup, type Read } from './entryFinder.ts';
import { EPOCH_TTL_MS, type Epoch, Epochs, under } from './epochs.ts';
import { Invalidations } from './invalidations.ts';
import { type Audience, audienceText, EVERYONE } from './key.ts';
import { Purges } from './purge.ts';
import type { Recording } from './recorder.ts';

/** A response with a validator is kept past its lifetime: to validate it is cheaper than to fetch it again. */
const VALIDATABLE_MS = 60 * 60 * 1000;
const NO_NAMES: readonly string[] = [];

export interface EntriesOptions {
  readonly store: ResponseStore;
  readonly now: () => number;
  /** How long a response is kept past its lifetime to be served instead of an error. */
  readonly staleIfErrorMs: number;
  /** Something stored makes no sense: it counts as absent. */
  readonly onError: (error: Error) => void;
}

/** Stored responses: where they lie, who may have them, and what makes them void. */
export class Entries {
  readonly #store: ResponseStore;
  readonly #now: () => number;
  readonly #staleIfErrorMs: number;
  readonly #invalidations: Invalidations;
  readonly #epochs = new Epochs();
  readonly #peek: Read;
  readonly #finder: EntryFinder;

  constructor({ store, now, staleIfErrorMs, onError }: Readonly<EntriesOptions>) {
    this.#store = store;
    this.#now = now;
    this.#staleIfErrorMs = staleIfErrorMs;
    const purges = new Purges({ store, now });
    this.#finder = new EntryFinder({ sharesNothing: !store.isShared, purges, onError });
    this.#invalidations = new Invalidations({ store, purges, epochs: this.#epochs, now });
    this.#peek = (key) => store.peek(key);
  }

  /** What `find` would give, or undefined when the store must be asked. */
  findNow(lookup: Lookup): Found | undefined {
    const { service, target } = lookup.resource;
    if (!this.#invalidations.isSettled(service, pathOf(target))) return undefined;
    try {
      return this.#finder.find(lookup, this.#peek);
    } catch {
      // Whoever asks the store is told why.
      return undefined;
    }
  }

  /** Rejects when the store fails. */
  async find(lookup: Lookup): Promise<Found> {
    const { service, target } = lookup.resource;
    await this.#invalidations.settle(service, pathOf(target));
    const asked = new Map<string, Remembered<Buffer | undefined>>();
    for (;;) {
      const missing: string[] = [];
      const found = this.#finder.find(lookup, (key) => {
        const known = asked.get(key) ?? this.#peek(key);
        if (!known) missing.push(key);
        return known;
      });
      if (found) return found;
      const values = await this.#read(missing);
      for (const [i, key] of missing.entries()) asked.set(key, { value: values[i] });
    }
  }

  #read(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    if (keys.length > 1) return this.#store.getAll(keys);
    return Promise.all(keys.map((key) => this.#store.get(key)));
  }

  /** The epoch in which the service is asked. It must be known before that. */
  epochFor({ keys }: Lookup, found: Found): Epoch {
    if (found.epoch !== undefined) {
      return { word: found.epoch, proposedAtMs: undefined, hasBegun: !found.isRenewed };
    }
    return this.#epochs.proposed(keys.epoch, this.#now());
  }

  /** Makes everything void that is stored under a path, whatever the query and whoever it is for. */
  invalidate(service: string, path: string): Promise<void> {
    return this.#invalidations.add(service, path);
  }

  /**
   * Stores a response under the epoch in which it was asked for, so that a later invalidation holds for it too, and not at
   * all when that is not in force any more.
   * @param lease to be given back once that is done; when it rejects it may not have been
   */
  store(entry: LiveEntry, audience: Audience, epoch: Epoch, lookup: Lookup, lease?: string): Promise<void> {
    if (audience === EVERYONE) this.#finder.expectShared();
    const ttlMs = this.#keptForMs(entry);
    const names = varyNamesOf(entry);
    const { keys, selecting } = lookup;
    const key = keys.variant(audience, epoch.word, selectingKey(names, selecting));
    // It is of no use any more, and neither is what it replaces.
    if (ttlMs < 1) return this.#deleteAll(lease === undefined ? [key] : [key, lease]);
    const along = { owner: lookup.owner, under: under(keys.epoch, epoch, this.#now()) };
    if (names.length === 0) return this.#store.set(key, entry, ttlMs, { ...along, gone: lease });
    const stored = this.#store.set(key, entry, ttlMs, along);
    const plain = keys.plain(audience, epoch.word);
    const marker = encodeMarker({ vary: names });
    const marked = this.#store.set(plain, marker, EPOCH_TTL_MS, { ...along, gone: lease });
    return Promise.all([marked, stored]).then(() => {});
  }

  #deleteAll(keys: readonly string[]): Promise<void> {
    return Promise.all(keys.map((key) => this.#store.delete(key))).then(() => {});
  }

  /** For how long the response is of any use, in whole milliseconds. */
  #keptForMs({ terms, generatedAtMs, fields }: Entry): number {
    const canBeValidated =
      fieldValue(fields, 'etag') !== undefined || fieldValue(fields, 'last-modified') !== undefined;
    const staleMs = Math.max(
      terms.staleWhileRevalidateMs,
      terms.staleIfErrorMs,
      terms.mayBeStale ? this.#staleIfErrorMs : 0,
      canBeValidated ? VALIDATABLE_MS : 0,
    );
    const leftMs = generatedAtMs + terms.lifetimeMs + staleMs - this.#now();
    return Math.ceil(Math.min(leftMs, EPOCH_TTL_MS));
  }
}

/** What was recorded, as it is stored for `audience`. */
export function entryOf(recording: Recording, audience: Audience, purgeVersion: number): LiveEntry {
  return new LiveEntry(recording, audienceText(audience), purgeVersion);
}

export function varyNamesOf({ fields }: Pick<Entry, 'fields'>): readonly string[] {
  const vary = fieldValues(fields, 'vary');
  return vary.length === 0 ? NO_NAMES : varyNames(vary.join(','));
}
