import type { Group, Member, StoreUnavailableError } from '../store/store.ts';
import { listener } from '../util/listener.ts';
import { type ApiKeyError, apiKeyError } from './errors.ts';
import {
  identityOf,
  type KeyRecord,
  type KeyState,
  type KnownKey,
  readRecord,
  type UnreadableRecord,
} from './record.ts';

/** One text that is, or was, a key. */
export interface KeyEntry extends KnownKey {
  readonly digest: string;
  /** Until when it is accepted, if it was replaced; Infinity: it was not. */
  readonly replacedUntilMs: number;
}

/** A record as it was read, with what is made of it. */
interface Read {
  readonly record: KeyRecord | UnreadableRecord;
  readonly entries: readonly KeyEntry[];
}

/** All keys of the store, each found with one look-up, however many there are. */
export class KeyIndex {
  readonly #entries = new Map<string, KeyEntry>();
  readonly #states = new Map<string, KnownKey>();
  readonly #revokedAtMs = new Map<string, number>();
  readonly #unreadable = new Map<string, StoreUnavailableError>();
  readonly #records: KeyRecord[] = [];

  constructor(all: readonly Read[]) {
    const latest = new Map<string, readonly KeyEntry[]>();
    for (const { record, entries } of all) {
      if (record.kind === 'unreadable') {
        this.#unreadable.set(record.id, record.problem);
        continue;
      }
      this.#records.push(record);
      if (record.kind === 'revoked') this.#revokedAtMs.set(record.id, record.revokedAtMs);
      else if (isLater(record, latest.get(record.id)?.[0]?.state)) latest.set(record.id, entries);
    }
    for (const [id, entries] of latest) {
      for (const entry of entries) this.#entries.set(entry.digest, entry);
      if (entries[0]) this.#states.set(id, entries[0]);
    }
  }

  /**
   * The key of which this is the SHA-256. How long it takes tells nothing of use: it depends on bits of the digest, and nobody
   * can choose a key by the bits of its digest.
   */
  entryOf(digest: string): KeyEntry | undefined {
    return this.#entries.get(digest);
  }

  /** Why nobody can say whether the key with this id is good; undefined where everything about it could be read. */
  unreadable(id: string): StoreUnavailableError | undefined {
    return this.#unreadable.get(id);
  }

  /** Why the key with this digest is not accepted at `nowMs`; undefined where it is. */
  problemOf(digest: string, nowMs: number): ApiKeyError | StoreUnavailableError | undefined {
    const entry = this.#entries.get(digest);
    if (entry === undefined) return apiKeyError('api_key_revoked', 'the API key is not there any more');
    const { id, expiresAtMs } = entry.state;
    const unreadable = this.#unreadable.get(id);
    if (unreadable) return unreadable;
    if (this.#revokedAtMs.has(id)) return apiKeyError('api_key_revoked', `the API key ${id} was revoked`);
    if (entry.replacedUntilMs <= nowMs)
      return apiKeyError('api_key_revoked', `the API key ${id} was rotated, and this is the old one`);
    if (expiresAtMs !== null && expiresAtMs <= nowMs)
      return apiKeyError('api_key_expired', `the API key ${id} has expired`);
    return undefined;
  }

  /** The latest state of each key, revoked ones too. */
  get states(): readonly KeyState[] {
    return Array.from(this.#states.values(), ({ state }) => state);
  }

  stateOf(id: string): KeyState | undefined {
    return this.#states.get(id)?.state;
  }

  /** Undefined: it was not revoked. */
  revokedAtMs(id: string): number | undefined {
    return this.#revokedAtMs.get(id);
  }

  /** All that is stored about one key. */
  recordsOf(id: string): readonly KeyRecord[] {
    return this.#records.filter((record) => record.id === id);
  }
}

/** Of two changes made at the same time the greater nonce counts, everywhere, until one is withdrawn. */
function isLater(one: KeyState, other: KeyState | undefined): boolean {
  if (other === undefined || one.version !== other.version) return one.version > (other?.version ?? -1);
  return one.nonce > other.nonce;
}

/** Makes the index of a group, and parses only what it has not seen in the group before. */
export class IndexReader {
  readonly #onUnreadable: (problem: StoreUnavailableError) => void;
  #group: Group | undefined;
  #index: KeyIndex | undefined;
  #read = new Map<string, Read>();

  /** @param onUnreadable called once for each record that cannot be read */
  constructor(onUnreadable?: (problem: StoreUnavailableError) => void) {
    this.#onUnreadable = listener(onUnreadable);
  }

  /** The index of this group, if it was made before. */
  known(group: Group): KeyIndex | undefined {
    return group === this.#group ? this.#index : undefined;
  }

  indexOf(group: Group): KeyIndex {
    const known = this.known(group);
    if (known) return known;
    const read = new Map<string, Read>();
    for (const member of group) {
      const text = `${member.id} ${member.value.toString('latin1')}`;
      read.set(text, this.#read.get(text) ?? this.#readAnew(member));
    }
    const index = new KeyIndex([...read.values()]);
    this.#read = read;
    this.#group = group;
    this.#index = index;
    return index;
  }

  #readAnew(member: Member): Read {
    const read = readOf(member);
    if (read.record.kind === 'unreadable') this.#onUnreadable(read.record.problem);
    return read;
  }
}

function readOf(member: Member): Read {
  const record = readRecord(member);
  if (record.kind !== 'key') return { record, entries: [] };
  const known = { state: record, identity: identityOf(record) };
  return {
    record,
    entries: [
      { ...known, digest: record.digest, replacedUntilMs: Number.POSITIVE_INFINITY },
      ...record.replaced.map(({ digest, untilMs }) => ({ ...known, digest, replacedUntilMs: untilMs })),
    ],
  };
}
