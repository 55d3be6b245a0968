import { LRUCache } from 'lru-cache';
import { fieldValue, fieldValues } from '../../http/fields.ts';
import { pathOf } from '../../http/path.ts';
import { type Live, RENEWED, type Remembered, type ResponseStore } from '../../store/store.ts';
import { type Selecting, selectingKey, varyNames } from '../rules/vary.ts';
import { decodeStored, type Entry, encodeMarker, LiveEntry, type Stored } from './entry.ts';
import { EPOCH_TTL_MS, type Epoch, Epochs, under } from './epochs.ts';
import { Invalidations } from './invalidations.ts';
import { type Audience, audienceText, EVERYONE, type Keys, type Resource } from './key.ts';
import { isPurged, PURGE_LOG_KEY, type PurgeLog, Purges } from './purge.ts';
import type { Recording } from './recorder.ts';

/** What has a validator is kept past its lifetime: asking whether it is still good is cheaper than having it anew. */
const VALIDATABLE_MS = 60 * 60 * 1000;
/** Parsed heads and the buffers they belong to. */
const DECODED_BYTES = 8 * 1024 * 1024;
const DECODED_HEAD_BYTES = 2_048;
/** A pointer and a string's own head. */
const STRING_BYTES = 32;
const NO_NAMES: readonly string[] = [];

/** Who asks, and what for. */
export interface Quest {
  readonly resource: Resource;
  /** Audiences whose answers the sender may have, their own first. */
  readonly audiences: readonly Audience[];
  readonly selecting: Selecting;
  /** Of the resource. */
  readonly keys: Keys;
  /** On whose account responses are kept that the sender causes to be stored. Default: nobody's. */
  readonly owner?: string;
}

/** What a look-up found, and what is needed to store what it did not find. */
export interface Found {
  readonly entry: Entry | undefined;
  /** Why there is none: nothing is stored under the URI, or nothing for what this request says. */
  readonly missing: 'uri-miss' | 'vary-miss';
  /** Which fields are known to choose among the answers of the URI. */
  readonly vary: readonly string[];
  /** The epoch in force; undefined when nothing is stored under the path. */
  readonly epoch: string | undefined;
  /** Whether nothing has been stored since the epoch was renewed. */
  readonly isRenewed: boolean;
  readonly purgeVersion: number;
}

export interface EntriesOptions {
  readonly store: ResponseStore;
  readonly now: () => number;
  /** How long an answer is kept past its lifetime to stand in for errors. */
  readonly staleIfErrorMs: number;
  /** Something stored makes no sense: it counts as absent. */
  readonly onError: (error: Error) => void;
}

/** Stored answers: where they lie, who may have them, and what makes them void. */
export class Entries {
  readonly #store: ResponseStore;
  readonly #now: () => number;
  readonly #staleIfErrorMs: number;
  readonly #onError: (error: Error) => void;
  readonly #purges: Purges;
  readonly #invalidations: Invalidations;
  readonly #epochs = new Epochs();
  readonly #peek: Read;
  /** Whether it is certain that nothing is stored for everyone: then nobody looks for it. */
  #sharesNothing: boolean;
  readonly #known = new LRUCache<Buffer, Stored>({
    maxSize: DECODED_BYTES,
    sizeCalculation: (stored, bytes) => bytes.byteLength + DECODED_HEAD_BYTES + overheadOf(stored),
  });

  constructor({ store, now, staleIfErrorMs, onError }: Readonly<EntriesOptions>) {
    this.#store = store;
    this.#sharesNothing = !store.isShared;
    this.#now = now;
    this.#staleIfErrorMs = staleIfErrorMs;
    this.#onError = onError;
    this.#purges = new Purges({ store, now });
    this.#invalidations = new Invalidations({ store, purges: this.#purges, epochs: this.#epochs, now });
    this.#peek = (key) => store.peek(key);
  }

  /** What `find` would give, or undefined when the store must be asked. */
  findNow(quest: Quest): Found | undefined {
    const { service, target } = quest.resource;
    if (!this.#invalidations.isSettled(service, pathOf(target))) return undefined;
    try {
      return this.#search(quest, this.#peek);
    } catch {
      // Whoever asks the store is told why.
      return undefined;
    }
  }

  /** Rejects when the store does not answer. */
  async find(quest: Quest): Promise<Found> {
    const { service, target } = quest.resource;
    await this.#invalidations.settle(service, pathOf(target));
    const asked = new Map<string, Remembered<Buffer | undefined>>();
    for (;;) {
      const missing: string[] = [];
      const found = this.#search(quest, (key) => {
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

  /** The epoch to ask the service in: to be known before it is asked. */
  epochFor({ keys }: Quest, found: Found): Epoch {
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
  store(entry: LiveEntry, audience: Audience, epoch: Epoch, quest: Quest, lease?: string): Promise<void> {
    if (audience === EVERYONE) this.#sharesNothing = false;
    const ttlMs = this.#keptForMs(entry);
    const names = varyNamesOf(entry);
    const { keys, selecting } = quest;
    const key = keys.variant(audience, epoch.word, selectingKey(names, selecting));
    // It is of no use any more, and neither is what it takes the place of.
    if (ttlMs < 1) return this.#deleteAll(lease === undefined ? [key] : [key, lease]);
    const along = { owner: quest.owner, under: under(keys.epoch, epoch, this.#now()) };
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

  /** For how long the answer is of any use, in whole milliseconds. */
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

  /** Undefined while `read` does not know all it takes to tell. */
  #search(quest: Quest, read: Read): Found | undefined {
    const { audiences, keys } = quest;
    const purges = read(PURGE_LOG_KEY);
    const begun = read(keys.epoch);
    if (!purges || !begun) return undefined;
    const log = this.#purges.logIn(asBytes(purges.value));
    const inForce = asBytes(begun.value)?.toString('latin1');
    const epoch = wordOf(inForce);
    const of = { epoch, isRenewed: inForce !== epoch, purgeVersion: log.version };
    if (epoch === undefined) return foundOf(undefined, NO_NAMES, of);
    let vary: readonly string[] = NO_NAMES;
    let isComplete = true;
    for (const audience of audiences) {
      if (audience === EVERYONE && this.#sharesNothing) continue;
      const find = this.#findFor(audience, { quest, epoch, log, read });
      if (find?.entry) return foundOf(find.entry, find.vary, of);
      if (!find) isComplete = false;
      else if (vary.length === 0) vary = find.vary;
    }
    return isComplete ? foundOf(undefined, vary, of) : undefined;
  }

  #findFor(audience: Audience, { quest, epoch, log, read }: Sought): Find | undefined {
    const first = read(quest.keys.plain(audience, epoch));
    if (!first) return undefined;
    let stored = this.#decoded(first.value);
    const vary = stored !== undefined && 'vary' in stored ? stored.vary : NO_NAMES;
    if (vary.length > 0) {
      const variant = read(quest.keys.variant(audience, epoch, selectingKey(vary, quest.selecting)));
      if (!variant) return undefined;
      stored = this.#decoded(variant.value);
    }
    if (stored === undefined || 'vary' in stored) return { entry: undefined, vary };
    const isOurs =
      stored.audience === audienceText(audience) && (audience !== EVERYONE || stored.terms.isShared);
    return { entry: isOurs && !isPurged(log, stored, quest.resource) ? stored : undefined, vary };
  }

  #decoded(value: Buffer | Live | undefined): Stored | undefined {
    if (value === undefined || value instanceof LiveEntry) return value;
    const bytes = asBytes(value) as Buffer;
    const known = this.#known.get(bytes);
    if (known) return known;
    try {
      const stored = decodeStored(bytes);
      this.#known.set(bytes, stored);
      return stored;
    } catch (error) {
      this.#onError(error as Error);
      return undefined;
    }
  }
}

/** A head of many short fields takes several times what its bytes do. */
function overheadOf(stored: Stored): number {
  return STRING_BYTES * ('vary' in stored ? stored.vary : stored.fields).length;
}

/** What is under a key, or undefined: the store must be asked. */
type Read = (key: string) => Remembered<Buffer | Live | undefined> | undefined;

interface Find {
  readonly entry: Entry | undefined;
  readonly vary: readonly string[];
}

interface Sought {
  readonly quest: Quest;
  readonly epoch: string;
  readonly log: PurgeLog;
  readonly read: Read;
}

function foundOf(
  entry: Entry | undefined,
  vary: readonly string[],
  { epoch, isRenewed, purgeVersion }: Pick<Found, 'epoch' | 'isRenewed' | 'purgeVersion'>,
): Found {
  return { entry, missing: vary.length > 0 ? 'vary-miss' : 'uri-miss', vary, epoch, isRenewed, purgeVersion };
}

/** The word itself, also of one that has just been renewed. */
function wordOf(stored: string | undefined): string | undefined {
  return stored?.startsWith(RENEWED) ? stored.slice(RENEWED.length) : stored;
}

function asBytes(value: Buffer | Live | undefined): Buffer | undefined {
  return value === undefined || Buffer.isBuffer(value) ? value : value.toBytes();
}

/** What was recorded, as it is stored for `audience`. */
export function entryOf(recording: Recording, audience: Audience, purgeVersion: number): LiveEntry {
  return new LiveEntry(recording, audienceText(audience), purgeVersion);
}

export function varyNamesOf({ fields }: Pick<Entry, 'fields'>): readonly string[] {
  const vary = fieldValues(fields, 'vary');
  return vary.length === 0 ? NO_NAMES : varyNames(vary.join(','));
}
