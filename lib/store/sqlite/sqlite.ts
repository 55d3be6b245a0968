import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { CautiousTime } from '../../clock/cautiousTime.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { CellsSize, Share } from '../../threads/cells.ts';
import { asError } from '../../util/asError.ts';
import { asBuffer, type Held, heldBytes } from '../bytes.ts';
import type { Channels } from '../channels.ts';
import { assertTtl, type Group, type Remembered, type TokenStore, type Unsubscribe } from '../store.ts';
import { WriteTrial } from '../writeTrial.ts';
import { attempt, FILE_NAME, openDatabase, unavailable } from './database.ts';
import { FilesInPlace } from './filesInPlace.ts';
import { GroupCommit } from './groupCommit.ts';

const TOKEN_PREFIX = 'token:';
const TRIAL_KEY = 'token:trial';
const TRIAL_TTL_MS = 1_000;
const PURGE_INTERVAL_MS = 60_000;
/** Rows deleted at a time. It takes a few milliseconds, so that a purge does not delay requests noticeably. */
const PURGE_ROWS = 1_000;
const DEFAULT_REMEMBERED_BYTES = 16 * 1024 * 1024;
/** How often to check whether another process has changed the file, as long as there are requests. It takes 3 us. */
const LOOK_EVERY_MS = 10;
/** The expiry of values that never expire: the latest time that a date can express. */
const NEVER_MS = 8.64e15;

export interface SqliteStoreOptions {
  /** The directory of `tokens.db`. Created, with access for this user only, when it is missing. */
  readonly dataDir: string;
  readonly channels: Channels;
  /** Memory for values that were read, in bytes. Default 16 MiB. */
  readonly maxRememberedBytes?: number;
  readonly clock: Clock;
  /** Called with errors in the background: a purge that failed. */
  readonly onError: (error: Error) => void;
  /** Called with what the operator should correct: that others may read the files. */
  readonly onWarning?: (message: string) => void;
  /** A shared counter (of the size `CHANGES`) of changes by the threads of this process that have the file open. */
  readonly changes?: Share | undefined;
}

export const CHANGES: CellsSize = { whole: 1 };

interface Kept<V> extends Remembered<V> {
  readonly expiresAtMs: number;
}

/**
 * A store in one SQLite file, which survives the process. It blocks the thread while it works: 3 us to read, and 0.2 ms on an
 * SSD to write everything that was asked for in one turn of the event loop. Values that were read are remembered. Changes by
 * another process, as during a restart, are seen within 10 ms, and those by another thread of this process at once.
 * Published messages reach this thread only.
 */
export class SqliteStore implements TokenStore {
  readonly #database: DatabaseSync;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #remove: StatementSync;
  readonly #selectGroup: StatementSync;
  readonly #version: StatementSync;
  readonly #purge: StatementSync;
  readonly #writes: GroupCommit;
  readonly #remembered: LRUCache<string, Kept<Held>>;
  #lastVersion: unknown;
  readonly #changes: Share | undefined;
  #lastChange = 0;
  #lookAtTicks = 0;
  readonly #channels: Channels;
  readonly #clock: Clock;
  readonly #time: CautiousTime;
  readonly #onError: (error: Error) => void;
  readonly #files: FilesInPlace;
  readonly #writeTrial: WriteTrial;
  #cancelPurge: Cancel;

  /** Throws an error that names the directory when the file cannot be opened there. */
  constructor({
    dataDir,
    channels,
    maxRememberedBytes = DEFAULT_REMEMBERED_BYTES,
    clock,
    onError,
    onWarning = () => {},
    changes,
  }: Readonly<SqliteStoreOptions>) {
    const file = join(dataDir, FILE_NAME);
    this.#database = openDatabase(dataDir, file, onWarning);
    this.#files = new FilesInPlace([file, `${file}-wal`]);
    this.#channels = channels;
    this.#remembered = new LRUCache({
      maxSize: maxRememberedBytes,
      sizeCalculation: ({ value }, key) => heldBytes(key, value),
    });
    this.#clock = clock;
    this.#time = new CautiousTime(clock);
    this.#onError = onError;
    this.#changes = changes;
    this.#select = this.#database.prepare('SELECT * FROM entries WHERE key = ?');
    this.#selectGroup = this.#database.prepare('SELECT key, value FROM entries WHERE key > ? AND key < ?');
    this.#version = this.#database.prepare('PRAGMA data_version');
    this.#upsert = this.#database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?)');
    this.#remove = this.#database.prepare('DELETE FROM entries WHERE key = ?');
    this.#purge = this.#database.prepare(
      'DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE expires_at_ms <= ? LIMIT ?)',
    );
    this.#writes = new GroupCommit(this.#database, () => {
      this.#tellThreads();
      // Throws if the file was replaced: then the write counts as failed.
      this.#files.assert();
    });
    this.#writeTrial = new WriteTrial(() => this.set(TRIAL_KEY, '1', TRIAL_TTL_MS), clock);
    this.#cancelPurge = clock.after(PURGE_INTERVAL_MS, () => this.#purgeExpired());
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    return this.#recall<Buffer | undefined>(key);
  }

  async get(key: string): Promise<Buffer | undefined> {
    const remembered = this.peek(key);
    if (remembered) return remembered.value;
    const row = attempt(() => this.#select.get(fileKey(key)));
    const expiresAtMs = row ? Number(row.expires_at_ms) : NEVER_MS;
    // An expired value is not remembered as absent, because a clock that is ahead may be set right.
    if (expiresAtMs <= this.#clock.now()) return undefined;
    const value = row && asBuffer(row.value as Uint8Array);
    this.#remembered.set(key, { value, expiresAtMs });
    return value;
  }

  async set(key: string, value: Buffer | string, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    await this.#upsertRow(fileKey(key), key, bytes, this.#clock.now() + ttlMs);
  }

  async delete(key: string): Promise<void> {
    await this.#removeRow(fileKey(key), key);
  }

  peekGroup(name: string): Remembered<Group> | undefined {
    return this.#recall<Group>(groupStart(name));
  }

  async getGroup(name: string): Promise<Group> {
    const remembered = this.peekGroup(name);
    if (remembered) return remembered.value;
    const rows = attempt(() => this.#selectGroup.all(groupStart(name), groupEnd(name)));
    const idAt = groupStart(name).length;
    const value = rows.map((row) => ({
      id: String(row.key).slice(idAt),
      value: asBuffer(row.value as Uint8Array),
    }));
    this.#remembered.set(groupStart(name), { value, expiresAtMs: NEVER_MS });
    return value;
  }

  async putInGroup(name: string, id: string, value: string): Promise<void> {
    await this.#upsertRow(groupStart(name) + id, groupStart(name), Buffer.from(value), NEVER_MS);
  }

  async removeFromGroup(name: string, id: string): Promise<boolean> {
    return this.#removeRow(groupStart(name) + id, groupStart(name));
  }

  async publish(channel: string, message: string): Promise<void> {
    this.#channels.deliver(channel, message);
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    const leave = this.#channels.join(channel, listener);
    return async () => leave();
  }

  /** Why tokens cannot be relied on, in words; undefined when the file is there and can be written. Never rejects. */
  trouble(): Promise<string | undefined> {
    return this.#writeTrial.trouble();
  }

  close(): void {
    this.#cancelPurge();
    this.#writes.flush();
    this.#remembered.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #upsertRow(key: string, rememberedAs: string, value: Buffer, expiresAtMs: number): Promise<void> {
    return this.#write(rememberedAs, () => void this.#upsert.run(key, value, expiresAtMs));
  }

  #removeRow(key: string, rememberedAs: string): Promise<boolean> {
    return this.#write(rememberedAs, () => this.#remove.run(key).changes > 0);
  }

  /** `rememberedAs` is the key under which memory holds what changes. */
  async #write<T>(rememberedAs: string, statement: () => T): Promise<T> {
    try {
      return await this.#writes.run(() => {
        // Not before: who reads until then reads, and remembers, what was.
        this.#remembered.delete(rememberedAs);
        return statement();
      });
    } catch (error) {
      throw unavailable(error);
    }
  }

  #recall<V extends Held>(key: string): Remembered<V> | undefined {
    this.#noticeThreads();
    this.#noticeOthers();
    // A key holds either a value or a group: their names differ in the last letter.
    const kept = this.#remembered.get(key) as Kept<V> | undefined;
    // Most have no end: that a token was not revoked. Asking the clock takes as long as finding them.
    const isKept = kept && (kept.expiresAtMs === NEVER_MS || kept.expiresAtMs > this.#clock.now());
    return isKept ? kept : undefined;
  }

  /** Forgets everything when another thread has written since. */
  #noticeThreads(): void {
    const change = this.#changes?.cells.get(0);
    if (change === undefined || change === this.#lastChange) return;
    this.#lastChange = change;
    this.#remembered.clear();
  }

  /**
   * After a write: all other threads read again. This thread keeps what it remembers, unless another has written too.
   */
  #tellThreads(): void {
    const change = this.#changes?.cells.add(0, 1);
    if (change === this.#lastChange + 1) this.#lastChange = change;
  }

  /** Forgets everything when another process has written, or when that cannot be found out. */
  #noticeOthers(): void {
    const ticks = this.#clock.ticks();
    if (ticks < this.#lookAtTicks) return;
    this.#lookAtTicks = ticks + LOOK_EVERY_MS;
    const version = this.#currentVersion();
    if (version === undefined || version !== this.#lastVersion) this.#remembered.clear();
    this.#lastVersion = version;
  }

  #currentVersion(): unknown {
    try {
      return this.#version.get()?.data_version;
    } catch {
      // The next read or write gets the error.
      return undefined;
    }
  }

  #purgeExpired(): void {
    let moreToDo = false;
    try {
      moreToDo = this.#purge.run(this.#time.earliestMs(), PURGE_ROWS).changes === PURGE_ROWS;
    } catch (error) {
      this.#onError(asError(error));
    }
    this.#cancelPurge = this.#clock.after(moreToDo ? 0 : PURGE_INTERVAL_MS, () => this.#purgeExpired());
  }
}

/**
 * The name of a key in the file. A key `token:<jwt>` contains a usable token, which nobody needs to read there, so its
 * SHA-256 is used instead.
 */
export function fileKey(key: string): string {
  if (!key.startsWith(TOKEN_PREFIX)) return key;
  return TOKEN_PREFIX + createHash('sha256').update(key.slice(TOKEN_PREFIX.length)).digest('hex');
}

/** The keys of a group lie between this one and `groupEnd`. */
function groupStart(name: string): string {
  return `${name}:`;
}

function groupEnd(name: string): string {
  return `${name};`;
}
