/** Why there is no permit: all of them are taken, or the caller has its fair share of them. */
export type Refusal = 'full' | 'share';

/** One of a limited number of permits, held until it is released. */
export interface Permit {
  /** Gives the permit back. Safe to call twice: the second call does nothing. */
  release(): void;
  /**
   * Counts the permit for another caller from now on. Returns false, and changes nothing, when that caller has its
   * share already.
   */
  transfer(caller: string): boolean;
}

/**
 * Hands out a limited number of permits. While several callers ask, none of them holds more than its fair share of the
 * permits and of the places in the queue. A caller that is alone may have all of them (see `keepsRoom`).
 *
 * `caller` is the one for whom a permit is counted. `asker` names the one who asks as exactly as is known: several users
 * behind one address are one caller until they are authenticated, but they are several askers. Default: the caller.
 */
export interface Permits {
  /** Permits handed out at the same time; 0 refuses everybody. */
  readonly limit: number;
  /** Permits in use now. */
  readonly held: number;
  /** Callers waiting for a permit now. */
  readonly waiting: number;
  /** Whether there is a queue at all. */
  readonly queues: boolean;
  /**
   * Returns a permit at once, or the reason why there is none.
   *
   * @param nowMs the clock's `ticks`, where they are known: reading the clock costs more than everything else here.
   * Default: they are read.
   */
  tryAcquire(caller?: string, asker?: string, nowMs?: number): Permit | Refusal;
  /**
   * Resolves with a permit as soon as there is one for this caller, or with the reason why it may not even wait. Rejects
   * with the signal's reason when `signal` is aborted first; the place in the queue is free again then.
   */
  acquire(signal: AbortSignal, caller?: string, asker?: string): Promise<Permit | Refusal>;
}

export interface PermitsOptions {
  /** Permits handed out at the same time; 0 refuses everybody. */
  readonly limit: number;
  /** Callers that may wait for a permit, first come first served; 0 (the default) refuses at once. */
  readonly queue?: number;
  /**
   * The part of the permits, and of the queue, that one caller may hold while another has asked within the last ten
   * seconds: 0..1, and always at least one permit. Default 1: callers are not told apart.
   */
  readonly fairShare?: number;
  /**
   * Whether a caller has no more than its fair share even when it is alone, so that there is always room for the next
   * one. Default false.
   */
  readonly keepsRoom?: boolean;
}

/** Somebody who has asked within this time counts as still asking. */
export const ASKING_MS = 10_000;

export function isPermit(given: Permit | Refusal): given is Permit {
  return typeof given === 'object';
}

/** How many of `limit` one caller may hold while others ask. */
export function shareOf(limit: number, fairShare: number): number {
  // 0.29 * 100 is 28.999999999999996.
  return Math.min(limit, Math.max(1, Math.floor(limit * fairShare + 1e-9)));
}

/** Throws `RangeError` for options that make no sense. */
export function assertPermitsOptions({ limit, queue = 0, fairShare = 1 }: PermitsOptions): void {
  assertWhole('limit', limit);
  assertWhole('queue', queue);
  if (fairShare >= 0 && fairShare <= 1) return;
  throw new RangeError(`Semaphore: fairShare must be a number from 0 to 1, got ${fairShare}`);
}

function assertWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`Semaphore: ${name} must be a whole number of at least 0, got ${value}`);
}

const UNCOUNTED: Permit = { release: () => {}, transfer: () => true };

/** Permits without a limit. */
export const UNLIMITED: Permits = {
  limit: Number.POSITIVE_INFINITY,
  held: 0,
  waiting: 0,
  queues: false,
  tryAcquire: () => UNCOUNTED,
  acquire: async () => UNCOUNTED,
};
