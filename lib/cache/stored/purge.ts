import { pathOf } from '../../http/path.ts';
import { EVERYWHERE_KEY, type ResponseStore } from '../../store/store.ts';
import type { Entry } from './entry.ts';
import { CHANGED_MS, newWord } from './epochs.ts';
import { epochKey } from './key.ts';

/** What is to leave the cache. */
export type PurgeTarget =
  /** Path as clients call it, `/budgeting/api/x`; every query of it goes along. */
  | { readonly url: string }
  /** Every path that begins so, `/budgeting/api/`. */
  | { readonly prefix: string }
  /** Path prefix of the service, `/budgeting`. */
  | { readonly service: string }
  /** One of the words in a response's `Cache-Tag`. */
  | { readonly tag: string };

/** One purge that every gateway must mind. Versions only ever grow. */
interface PurgeRecord {
  readonly version: number;
  readonly kind: 'url' | 'prefix' | 'service' | 'tag';
  readonly value: string;
}

/** The latest purges. Everything that was asked for before `floor` is void. */
export interface PurgeLog {
  readonly version: number;
  readonly floor: number;
  readonly records: readonly PurgeRecord[];
}

export const PURGE_LOG_KEY = EVERYWHERE_KEY;
/** Older purges are merged into one of everything: a log that grows for ever would slow every lookup down. */
const MOST_RECORDS = 1_000;
/** Longer than any response is kept. */
const LOG_TTL_MS = 7 * 24 * 60 * 60 * 1000;
/** The version stands in front of the JSON in so many digits, so that a newer log is greater byte by byte. */
const VERSION_DIGITS = 16;
const NOTHING_PURGED: PurgeLog = { version: 0, floor: 0, records: [] };

export interface PurgesOptions {
  readonly store: ResponseStore;
  readonly now: () => number;
}

/**
 * Purges by prefix, service and tag. They are a log in the store that every gateway reads with each lookup: a response
 * counts as purged if it was asked for before a purge that covers it. So a purge takes one write however much it covers,
 * holds for responses that are still on their way, and needs no gateway to be reachable.
 */
export class Purges {
  readonly #store: ResponseStore;
  readonly #now: () => number;
  #latest: { readonly bytes: Buffer; readonly log: PurgeLog } | undefined;

  constructor({ store, now }: Readonly<PurgesOptions>) {
    this.#store = store;
    this.#now = now;
  }

  /** The log in these bytes. Parsed once for each change: until then the store returns the same buffer. */
  logIn(bytes: Buffer | undefined): PurgeLog {
    if (!bytes) return NOTHING_PURGED;
    if (this.#latest?.bytes !== bytes)
      this.#latest = { bytes, log: JSON.parse(bytes.toString('utf8', VERSION_DIGITS)) as PurgeLog };
    return this.#latest.log;
  }

  /** Resolves once it is in the store; other gateways see it some milliseconds later. Rejects when the store fails. */
  async purge(target: PurgeTarget): Promise<void> {
    if ('url' in target) {
      const path = pathOf(target.url);
      await this.purgePath(path);
      // A service whose prefix is cut is asked for the same, with a slash at the end or without.
      if (serviceOf(path) === path) await this.purgePath(`${path}/`);
      return;
    }
    const [[kind, value] = ['tag', '']] = Object.entries(target);
    return this.#append(kind as PurgeRecord['kind'], value);
  }

  /** Purges one path with every query, for every audience. If its part of the store is away, the log takes the purge. */
  async purgePath(url: string): Promise<void> {
    const path = pathOf(url);
    try {
      await this.#store.renew(epochKey(serviceOf(path), path), newWord(), CHANGED_MS);
    } catch {
      await this.#append('url', path);
    }
  }

  async #append(kind: PurgeRecord['kind'], value: string): Promise<void> {
    let present = await this.#store.get(PURGE_LOG_KEY);
    for (;;) {
      const log = withRecord(this.logIn(present), { kind, value }, this.#now());
      const next = Buffer.from(textOf(log));
      const inForce = await this.#store.swap(PURGE_LOG_KEY, present, next.toString(), LOG_TTL_MS);
      if (inForce.equals(next)) return;
      present = inForce;
    }
  }
}

/** Whether the response was asked for before a purge that covers it. */
export function isPurged(
  log: PurgeLog,
  entry: Entry,
  { service, target }: { service: string; target: string },
): boolean {
  if (entry.purgeVersion >= log.version) return false;
  if (entry.purgeVersion < log.floor) return true;
  const tags = new Set(tagsOf(entry));
  return log.records.some(({ version, kind, value }) => {
    if (version <= entry.purgeVersion) return false;
    if (kind === 'service') return value === service;
    if (kind === 'url') return pathOf(target) === value;
    return kind === 'prefix' ? target.startsWith(value) : tags.has(value);
  });
}

function textOf(log: PurgeLog): string {
  return String(log.version).padStart(VERSION_DIGITS, '0') + JSON.stringify(log);
}

/** By the clock, so that a log that was lost is not taken for an older one, and never backwards. */
function withRecord(log: PurgeLog, purge: Omit<PurgeRecord, 'version'>, nowMs: number): PurgeLog {
  const version = Math.max(log.version + 1, nowMs);
  const records = [...log.records, { ...purge, version }];
  const dropped = records.splice(0, Math.max(0, records.length - MOST_RECORDS));
  return { version, floor: dropped.at(-1)?.version ?? log.floor, records };
}

/** The words of `Cache-Tag`, however often the field is given. */
function tagsOf({ fields }: Entry): string[] {
  const tags: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== 'cache-tag') continue;
    for (const tag of fields[i + 1]?.split(',') ?? []) tags.push(tag.trim());
  }
  return tags;
}

function serviceOf(path: string): string {
  return /^\/[^/]*/.exec(path)?.[0] ?? '';
}
