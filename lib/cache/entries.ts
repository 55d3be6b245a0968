import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { pathOf } from '../exchange/path.ts';
import type { ResponseStore } from '../store/store.ts';
import { decodeStored, type Entry, encodeEntry, encodeMarker, type Stored } from './entry.ts';
import { Invalidations } from './invalidations.ts';
import { type Audience, audienceText, EVERYONE, entryKey, epochKey, type Resource } from './key.ts';
import { isPurged, type PurgeLog, Purges } from './purge.ts';
import type { Recording } from './recorder.ts';
import { type Selecting, selectingKey, varyNames } from './vary.ts';

/** No answer outlives the epoch it was stored in; a new one begins daily. */
const EPOCH_TTL_MS = 24 * 60 * 60 * 1000;
/** What has a validator is kept past its lifetime: asking whether it is still good is cheaper than having it anew. */
const VALIDATABLE_MS = 60 * 60 * 1000;
/** Parsed heads and the buffers they belong to. */
const DECODED_BYTES = 8 * 1024 * 1024;
const DECODED_HEAD_BYTES = 2_048;

/** Who asks, and what for. */
export interface Quest {
  readonly resource: Resource;
  /** Audiences whose answers the sender may have, their own first. */
  readonly audiences: readonly Audience[];
  readonly selecting: Selecting;
}

/** What a look-up found, and what is needed to store what it did not find. */
export interface Found {
  readonly entry: Entry | undefined;
  /** Why there is none: nothing is stored under the URI, or nothing for what this request says. */
  readonly missing: 'uri-miss' | 'vary-miss';
  /** Which fields are known to choose among the answers of the URI. */
  readonly vary: readonly string[];
  readonly epoch: string | undefined;
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
  readonly #decoded = new LRUCache<Buffer, Stored>({
    maxSize: DECODED_BYTES,
    sizeCalculation: (_stored, bytes) => bytes.byteLength + DECODED_HEAD_BYTES,
  });

  constructor({ store, now, staleIfErrorMs, onError }: Readonly<EntriesOptions>) {
    this.#store = store;
    this.#now = now;
    this.#staleIfErrorMs = staleIfErrorMs;
    this.#onError = onError;
    this.#purges = new Purges({ store, now });
    this.#invalidations = new Invalidations(store, this.#purges);
  }

  /** Rejects when the store does not answer. */
  async find({ resource, audiences, selecting }: Quest): Promise<Found> {
    await this.#invalidations.settle();
    const [log, epochBytes] = await Promise.all([
      this.#purges.current(),
      this.#store.get(epochKey(resource.service, pathOf(resource.target))),
    ]);
    const epoch = epochBytes?.toString('latin1');
    const purgeVersion = log.version;
    if (epoch === undefined) return { entry: undefined, missing: 'uri-miss', vary: [], epoch, purgeVersion };
    const finds = await Promise.all(
      audiences.map((audience) => this.#findFor(audience, { resource, epoch, log, selecting })),
    );
    const entry = finds.find((find) => find.entry)?.entry;
    const vary = finds.find((find) => find.vary.length > 0)?.vary ?? [];
    return { entry, missing: vary.length > 0 ? 'vary-miss' : 'uri-miss', vary, epoch, purgeVersion };
  }

  /** The epoch of the path, begun if there is none: to be known before the service is asked. */
  async epochOf({ service, target }: Resource): Promise<string> {
    const fresh = randomBytes(9).toString('base64url');
    const inForce = await this.#store.swap(epochKey(service, pathOf(target)), undefined, fresh, EPOCH_TTL_MS);
    return inForce.toString('latin1');
  }

  /** Makes everything void that is stored under a path, whatever the query and whoever it is for. */
  invalidate(service: string, path: string): Promise<void> {
    return this.#invalidations.add(service, path);
  }

  /** Stores an answer under the epoch in which it was asked for, so that a later invalidation holds for it too. */
  async store(
    entry: Entry,
    audience: Audience,
    epoch: string,
    { resource, selecting }: Quest,
  ): Promise<void> {
    const ttlMs = this.#keptForMs(entry);
    const names = varyNamesOf(entry);
    const variant = selectingKey(names, selecting);
    const key = (of: string) => entryKey({ resource, audience, epoch, variant: of });
    // It is of no use any more, and neither is what it takes the place of.
    if (ttlMs < 1) return this.#store.delete(key(variant));
    const marker =
      names.length > 0 ? this.#store.set(key(''), encodeMarker({ vary: names }), EPOCH_TTL_MS) : undefined;
    await Promise.all([marker, this.#store.set(key(variant), encodeEntry(entry), ttlMs)]);
  }

  /** For how long the answer is of any use, in whole milliseconds. */
  #keptForMs({ terms, generatedAtMs, fields }: Entry): number {
    const canBeValidated = fields.some((part, i) => i % 2 === 0 && /^(etag|last-modified)$/i.test(part));
    const staleMs = Math.max(
      terms.staleWhileRevalidateMs,
      terms.staleIfErrorMs,
      terms.mayBeStale ? this.#staleIfErrorMs : 0,
      canBeValidated ? VALIDATABLE_MS : 0,
    );
    const leftMs = generatedAtMs + terms.lifetimeMs + staleMs - this.#now();
    return Math.ceil(Math.min(leftMs, EPOCH_TTL_MS));
  }

  async #findFor(audience: Audience, { resource, epoch, log, selecting }: Sought): Promise<Find> {
    const stored = await this.#read(entryKey({ resource, audience, epoch, variant: '' }));
    const vary = stored !== undefined && 'vary' in stored ? stored.vary : [];
    const variant = selectingKey(vary, selecting);
    const entry = variant ? await this.#read(entryKey({ resource, audience, epoch, variant })) : stored;
    if (entry === undefined || 'vary' in entry) return { entry: undefined, vary };
    const isOurs =
      entry.audience === audienceText(audience) && (audience !== EVERYONE || entry.terms.isShared);
    return { entry: isOurs && !isPurged(log, entry, resource) ? entry : undefined, vary };
  }

  async #read(key: string): Promise<Stored | undefined> {
    const bytes = await this.#store.get(key);
    if (!bytes) return undefined;
    const known = this.#decoded.get(bytes);
    if (known) return known;
    try {
      const stored = decodeStored(bytes);
      this.#decoded.set(bytes, stored);
      return stored;
    } catch (error) {
      this.#onError(error as Error);
      return undefined;
    }
  }
}

interface Find {
  readonly entry: Entry | undefined;
  readonly vary: readonly string[];
}

interface Sought {
  readonly resource: Resource;
  readonly epoch: string;
  readonly log: PurgeLog;
  readonly selecting: Selecting;
}

/** What was recorded, as it is stored for `audience`. */
export function entryOf(recording: Recording, audience: Audience, purgeVersion: number): Entry {
  return { ...recording, audience: audienceText(audience), purgeVersion };
}

export function varyNamesOf({ fields }: Pick<Entry, 'fields'>): readonly string[] {
  const vary: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() === 'vary') vary.push(fields[i + 1] as string);
  }
  return varyNames(vary.join(','));
}
