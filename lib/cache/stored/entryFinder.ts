import { LRUCache } from 'lru-cache';
import { type Live, RENEWED, type Remembered } from '../../store/store.ts';
import { type Selecting, selectingKey } from '../rules/vary.ts';
import { decodeStored, type Entry, LiveEntry, type Stored } from './entry.ts';
import { type Audience, audienceText, EVERYONE, type Keys, type Resource } from './key.ts';
import { isPurged, PURGE_LOG_KEY, type PurgeLog, type Purges } from './purge.ts';

/** Memory for parsed heads, and for the buffers they belong to. */
const DECODED_BYTES = 8 * 1024 * 1024;
const DECODED_HEAD_BYTES = 2_048;
/** A pointer and a string's own head. */
const STRING_BYTES = 32;
const NO_NAMES: readonly string[] = [];

/** What to look for, and for whom. */
export interface Lookup {
  readonly resource: Resource;
  /** Audiences whose responses the sender may have, their own first. */
  readonly audiences: readonly Audience[];
  readonly selecting: Selecting;
  /** Of the resource. */
  readonly keys: Keys;
  /** On whose account responses are kept that the sender causes to be stored. Default: nobody's. */
  readonly owner?: string;
}

/** What a lookup has found, and what is needed to store what it has not found. */
export interface Found {
  readonly entry: Entry | undefined;
  /** Why there is none: nothing is stored under the URI, or nothing for the fields of this request. */
  readonly missing: 'uri-miss' | 'vary-miss';
  /** Which request fields are known to select among the responses of the URI. */
  readonly vary: readonly string[];
  /** The epoch in force; undefined when nothing is stored under the path. */
  readonly epoch: string | undefined;
  /** Whether nothing has been stored since the epoch was renewed. */
  readonly isRenewed: boolean;
  readonly purgeVersion: number;
}

/** What is under a key. Undefined: the store must be asked. */
export type Read = (key: string) => Remembered<Buffer | Live | undefined> | undefined;

export interface EntryFinderOptions {
  /** Whether nothing is stored for everybody as yet: then nobody looks for it. */
  readonly sharesNothing: boolean;
  readonly purges: Purges;
  /** Something stored makes no sense: it counts as absent. */
  readonly onError: (error: Error) => void;
}

/** Finds the stored response for a request: by its audiences, by what `Vary` lists, and only what is not purged. */
export class EntryFinder {
  #sharesNothing: boolean;
  readonly #purges: Purges;
  readonly #onError: (error: Error) => void;
  readonly #decodedEntries = new LRUCache<Buffer, Stored>({
    maxSize: DECODED_BYTES,
    sizeCalculation: (stored, bytes) => bytes.byteLength + DECODED_HEAD_BYTES + overheadOf(stored),
  });

  constructor({ sharesNothing, purges, onError }: Readonly<EntryFinderOptions>) {
    this.#sharesNothing = sharesNothing;
    this.#purges = purges;
    this.#onError = onError;
  }

  /** To be called when something is about to be stored for everybody. */
  expectShared(): void {
    this.#sharesNothing = false;
  }

  /** Undefined while `read` does not know all it takes to tell. */
  find(lookup: Lookup, read: Read): Found | undefined {
    const purges = read(PURGE_LOG_KEY);
    const begun = read(lookup.keys.epoch);
    if (!purges || !begun) return undefined;
    const log = this.#purges.logIn(asBytes(purges.value));
    const inForce = asBytes(begun.value)?.toString('latin1');
    const epoch = wordOf(inForce);
    const of = { epoch, isRenewed: inForce !== epoch, purgeVersion: log.version };
    if (epoch === undefined) return foundOf(undefined, NO_NAMES, of);
    let vary: readonly string[] = NO_NAMES;
    let isComplete = true;
    for (const audience of lookup.audiences) {
      if (audience === EVERYONE && this.#sharesNothing) continue;
      const found = this.#findFor(audience, { lookup, epoch, log, read });
      if (found?.entry) return foundOf(found.entry, found.vary, of);
      if (!found) isComplete = false;
      else if (vary.length === 0) vary = found.vary;
    }
    return isComplete ? foundOf(undefined, vary, of) : undefined;
  }

  #findFor(audience: Audience, { lookup, epoch, log, read }: Sought): FoundFor | undefined {
    const first = read(lookup.keys.plain(audience, epoch));
    if (!first) return undefined;
    let stored = this.#decoded(first.value);
    const vary = stored !== undefined && 'vary' in stored ? stored.vary : NO_NAMES;
    if (vary.length > 0) {
      const variant = read(lookup.keys.variant(audience, epoch, selectingKey(vary, lookup.selecting)));
      if (!variant) return undefined;
      stored = this.#decoded(variant.value);
    }
    if (stored === undefined || 'vary' in stored) return { entry: undefined, vary };
    const isOurs =
      stored.audience === audienceText(audience) && (audience !== EVERYONE || stored.terms.isShared);
    return { entry: isOurs && !isPurged(log, stored, lookup.resource) ? stored : undefined, vary };
  }

  #decoded(value: Buffer | Live | undefined): Stored | undefined {
    if (value === undefined || value instanceof LiveEntry) return value;
    const bytes = asBytes(value) as Buffer;
    const known = this.#decodedEntries.get(bytes);
    if (known) return known;
    try {
      const stored = decodeStored(bytes);
      this.#decodedEntries.set(bytes, stored);
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

interface FoundFor {
  readonly entry: Entry | undefined;
  readonly vary: readonly string[];
}

interface Sought {
  readonly lookup: Lookup;
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
