import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Under } from '../../store/store.ts';

/** No response outlives the epoch it was stored in; a new one begins daily. */
export const EPOCH_TTL_MS = 24 * 60 * 60 * 1000;
/**
 * How long a change is remembered under a path of which nothing is stored, and after which time nothing is stored any
 * more that was asked for when nothing was.
 */
export const CHANGED_MS = 30_000;
const WORD_BYTES = 9;

/** Memory for proposals. When it is full, requests for the same path may get different ones. */
const PROPOSED_BYTES = 256 * 1024;
const PROPOSED_OVERHEAD_BYTES = 200;

/** The epoch in which a response is asked for. */
export interface Epoch {
  readonly word: string;
  /** When it was proposed, in milliseconds. Undefined for one that was in force. */
  readonly proposedAtMs: number | undefined;
  /** Whether something was stored under it before: then it need not begin. */
  readonly hasBegun: boolean;
}

/**
 * Epochs of paths. An epoch is proposed when a response is asked for, and begins when the first response is stored: what
 * is not stored leaves nothing behind. All requests for one path that are under way get the same proposal, so that the
 * responses to all of them may be stored.
 */
export class Epochs {
  readonly #proposed = new LRUCache<string, Epoch>({
    maxSize: PROPOSED_BYTES,
    sizeCalculation: (_epoch, key) => PROPOSED_OVERHEAD_BYTES + key.length,
  });

  /** The epoch to ask in when none is in force under `key`. */
  proposed(key: string, nowMs: number): Epoch {
    const known = this.#proposed.get(key);
    if (known && isYoung(known, nowMs)) return known;
    const epoch = { word: newWord(), proposedAtMs: nowMs, hasBegun: false };
    this.#proposed.set(key, epoch);
    return epoch;
  }

  /** What is asked for under `key` from now on belongs to another epoch. */
  changed(key: string): void {
    this.#proposed.delete(key);
  }
}

/** The condition for storing what was asked for in `epoch`: a response of an epoch that is void would never be found. */
export function under(epochKey: string, epoch: Epoch, nowMs: number): Under | undefined {
  if (epoch.hasBegun) return undefined;
  return { key: epochKey, value: epoch.word, ttlMs: EPOCH_TTL_MS, mayBegin: isYoung(epoch, nowMs) };
}

export function newWord(): string {
  return randomBytes(WORD_BYTES).toString('base64url');
}

/** Whether a change since its proposal would still be known. */
function isYoung({ proposedAtMs }: Epoch, nowMs: number): boolean {
  return proposedAtMs !== undefined && Math.abs(nowMs - proposedAtMs) < CHANGED_MS;
}
