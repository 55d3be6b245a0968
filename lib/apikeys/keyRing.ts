import { randomBytes } from 'node:crypto';
import { CautiousTime } from '../clock/cautiousTime.ts';
import { type Clock, systemClock } from '../clock/clock.ts';
import { API_KEYS_GROUP as GROUP } from '../store/lasting.ts';
import type { TokenStore } from '../store/store.ts';
import type { ApiKeys } from './apiKeys.ts';
import { ApiKeyConflictError, NoSuchApiKeyError, TooManyApiKeysError } from './errors.ts';
import type { KeyIndex } from './keyIndex.ts';
import { newKeyId, newKeyText, type RandomBytes } from './keyText.ts';
import { digestOfKey, fieldOf, type KeyGrants, type KeyRecord, type KeyState } from './record.ts';

/** Every gateway keeps all of them in memory. */
export const MAX_API_KEYS = 10_000;
/** How long keys that were revoked or have expired are listed, and named in the log when somebody still sends them. */
export const KEPT_MS = 30 * 24 * 60 * 60_000;
/** Keys that a rotated one has replaced, and that are told apart from unknown ones. */
const MAX_REPLACED = 5;
/** Deleted at a time, since the embedded store waits for the disk each time. */
const CLEARED_AT_A_TIME = 100;

export interface KeyRingOptions {
  readonly keys: ApiKeys;
  readonly store: TokenStore;
  readonly random?: RandomBytes;
  readonly clock?: Clock;
}

/** A key that was just made: the only moment at which its text is known. */
export interface NewKey {
  readonly text: string;
  readonly state: KeyState;
}

/**
 * Makes, changes and revokes API keys. Once a method resolves, the change is in force on every gateway. All of them reject with
 * `StoreUnavailableError` when the store does not reply.
 *
 * The store has one record for each change, which is never overwritten, and one that says that a key was revoked, which counts
 * more than all others. So neither a change at the same time nor a copy of older data brings back what was revoked.
 */
export class KeyRing {
  readonly #keys: ApiKeys;
  readonly #store: TokenStore;
  readonly #random: RandomBytes;
  readonly #clock: Clock;
  readonly #time: CautiousTime;

  constructor({ keys, store, random = randomBytes, clock = systemClock }: Readonly<KeyRingOptions>) {
    this.#keys = keys;
    this.#store = store;
    this.#random = random;
    this.#clock = clock;
    this.#time = new CautiousTime(clock);
  }

  /** Rejects with `TooManyApiKeysError` when there are as many as there may be. */
  async create(grants: KeyGrants): Promise<NewKey> {
    await this.#makeRoom();
    const nowMs = this.#clock.now();
    const id = newKeyId(this.#random);
    const text = newKeyText(id, this.#random);
    const state: KeyState = {
      kind: 'key',
      id,
      version: 1,
      nonce: this.#nonce(),
      ...grants,
      digest: digestOfKey(text),
      replaced: [],
      createdAtMs: nowMs,
      rotatedAtMs: nowMs,
    };
    await this.#put(state);
    return { text, state };
  }

  /** Every key that is listed, the newest first. Those that ended long ago are deleted. */
  async list(): Promise<readonly KeyState[]> {
    const index = await this.#keys.index();
    const old = this.#ended(index, this.#time.earliestMs() - KEPT_MS);
    // If deleting fails now, the next listing tries again.
    await Promise.allSettled(old.slice(0, CLEARED_AT_A_TIME).map((state) => this.#forget(state, index)));
    const gone = new Set(old);
    return index.states
      .filter((state) => !gone.has(state))
      .toSorted((one, other) => other.createdAtMs - one.createdAtMs || one.id.localeCompare(other.id));
  }

  /** Rejects with `NoSuchApiKeyError`. */
  async get(id: string): Promise<KeyState> {
    return existing(await this.#keys.index(), id);
  }

  /** When it was revoked; undefined: it was not. */
  async revokedAtMs(id: string): Promise<number | undefined> {
    return (await this.#keys.index()).revokedAtMs(id);
  }

  /** Rejects with `NoSuchApiKeyError`, or with `ApiKeyConflictError` when it was revoked or is changed at the same time. */
  async change(id: string, changed: Partial<KeyGrants>): Promise<KeyState> {
    return this.#replace(await this.#changeable(id), changed);
  }

  /**
   * A new key with the same id, owner and grants. The present one is accepted for another `graceMs`; 0 ends it at once, and
   * those that it has replaced as well. Rejects as `change` does, also when too many old ones are still accepted.
   */
  async rotate(id: string, graceMs: number, changed: Partial<KeyGrants> = {}): Promise<NewKey> {
    const present = await this.#changeable(id);
    const nowMs = this.#clock.now();
    const ends = (untilMs: number) => (graceMs === 0 ? Math.min(untilMs, nowMs) : untilMs);
    const replaced = [
      { digest: present.digest, untilMs: nowMs + graceMs },
      ...present.replaced.map(({ digest, untilMs }) => ({ digest, untilMs: ends(untilMs) })),
    ];
    if (replaced.slice(MAX_REPLACED).some(({ untilMs }) => untilMs > nowMs)) {
      throw new ApiKeyConflictError(`${MAX_REPLACED} keys that were replaced are still accepted`);
    }
    const text = newKeyText(id, this.#random);
    const state = await this.#replace(present, {
      ...changed,
      digest: digestOfKey(text),
      replaced: replaced.slice(0, MAX_REPLACED),
      rotatedAtMs: nowMs,
    });
    return { text, state };
  }

  /** Ends the key and all that it has replaced. Resolves to what it was. Rejects with `NoSuchApiKeyError`. */
  async revoke(id: string): Promise<KeyState> {
    const index = await this.#keys.index();
    const state = existing(index, id);
    if (index.revokedAtMs(id) === undefined) {
      await this.#put({ kind: 'revoked', id, revokedAtMs: this.#clock.now() });
    }
    return state;
  }

  async #changeable(id: string): Promise<KeyState> {
    const index = await this.#keys.index();
    const unreadable = index.unreadable(id);
    // Nobody knows which change was the last one.
    if (unreadable) throw unreadable;
    const state = existing(index, id);
    if (index.revokedAtMs(id) !== undefined) throw new ApiKeyConflictError(`the API key ${id} was revoked`);
    return state;
  }

  /** Writes the next state, and takes it back when somebody else has written one at the same time: both would seem to count. */
  async #replace(present: KeyState, changed: Partial<KeyState>): Promise<KeyState> {
    const next: KeyState = {
      ...present,
      ...changed,
      version: present.version + 1,
      nonce: this.#nonce(),
    };
    await this.#put(next);
    const index = await this.#keys.index();
    const records = index.recordsOf(next.id);
    const isOther = (each: KeyRecord) =>
      each.kind === 'revoked' || (each.version >= next.version && each.nonce !== next.nonce);
    if (records.some(isOther)) {
      await this.#remove(next);
      throw new ApiKeyConflictError(`somebody else has changed the API key ${next.id} at the same time`);
    }
    // What it replaces counts for nothing any more. If deleting it fails, the next change tries again.
    const older = records.filter((each) => each.kind === 'key' && each.version < next.version);
    await Promise.allSettled(older.map((each) => this.#remove(each)));
    return next;
  }

  /** Deletes keys that have ended, the oldest first, if all places are taken. */
  async #makeRoom(): Promise<void> {
    const index = await this.#keys.index();
    if (index.states.length < MAX_API_KEYS) return;
    const ended = this.#ended(index, this.#time.earliestMs()).slice(0, CLEARED_AT_A_TIME);
    if (ended.length === 0) throw new TooManyApiKeysError(`there are ${MAX_API_KEYS} API keys`);
    await Promise.all(ended.map((state) => this.#forget(state, index)));
  }

  /** The keys that had ended at this time, the earliest first. */
  #ended(index: KeyIndex, atMs: number): readonly KeyState[] {
    const endOf = ({ id, expiresAtMs }: KeyState) =>
      Math.min(index.revokedAtMs(id) ?? Number.POSITIVE_INFINITY, expiresAtMs ?? Number.POSITIVE_INFINITY);
    return index.states
      .filter((state) => endOf(state) <= atMs)
      .toSorted((one, other) => endOf(one) - endOf(other));
  }

  /** Deletes all of a key. That it was revoked goes last, once nothing is left that it holds for. */
  async #forget({ id }: KeyState, index: KeyIndex): Promise<void> {
    const records = index.recordsOf(id);
    await Promise.all(records.filter(({ kind }) => kind === 'key').map((each) => this.#remove(each)));
    await Promise.all(records.filter(({ kind }) => kind === 'revoked').map((each) => this.#remove(each)));
  }

  async #put(record: KeyRecord): Promise<void> {
    await this.#store.putInGroup(GROUP, fieldOf(record), JSON.stringify(record));
  }

  async #remove(record: KeyRecord): Promise<void> {
    await this.#store.removeFromGroup(GROUP, fieldOf(record));
  }

  #nonce(): string {
    return this.#random(9).toString('base64url');
  }
}

function existing(index: KeyIndex, id: string): KeyState {
  const state = index.stateOf(id);
  if (!state) throw new NoSuchApiKeyError('no API key has this id');
  return state;
}
