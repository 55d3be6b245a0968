import { LRUCache } from 'lru-cache';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { shortened } from '../util/shortened.ts';
import { type Evaluate, redisCounter } from './redisCounter.ts';

/** For each limit. A key that has to leave begins a new window when it comes back. */
const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;
/** The memory of a counter, its timer and its entry in the LRU order. */
const OVERHEAD_BYTES = 800;

export interface Rate {
  /** Requests that are admitted in the window, 1 or more. */
  readonly requests: number;
  /** Whole seconds, in milliseconds. A key's window begins with its first request. */
  readonly windowMs: number;
}

export interface RateLimitOptions {
  /** Names the limit to clients and in the store: `identity`. Letters, digits, `-` and `_`. */
  readonly policy: string;
  readonly rate: Rate;
  /** Runs a script in the Redis that all gateways share. Without it this process counts for itself. */
  readonly evaluate?: Evaluate | undefined;
  /** Memory for the counters of this process, in bytes. Default 32 MiB. */
  readonly maxBytes?: number;
  /** Called for each request that was counted in this process alone, because Redis failed. */
  readonly onStoreError?: (error: Error) => void;
}

/** The decision on one request. */
export interface Verdict {
  readonly admitted: boolean;
  /** Requests left in the window. */
  readonly remaining: number;
  /** Until the window ends and all requests are there again, in milliseconds. */
  readonly resetMs: number;
}

/** Counts requests by key, in this thread or elsewhere. */
export interface RateCounter {
  readonly policy: string;
  readonly rate: Rate;
  /** Counts one request for `key`. */
  take(key: string): Promise<Verdict>;
}

/**
 * A number of requests for each key in a window of time. Several gateways on one Redis let exactly so many pass together.
 *
 * Availability comes before exactness: while Redis does not respond, each process counts for itself, so at worst each
 * gateway lets as many requests pass as the limit allows. A key that is over the limit is refused from memory.
 */
export class RateLimit implements RateCounter {
  readonly policy: string;
  readonly rate: Rate;
  readonly #limiter: RateLimiterAbstract;
  /** The keys that are counted here. */
  readonly #counted: LRUCache<string, true>;

  constructor({
    policy,
    rate,
    evaluate,
    maxBytes = DEFAULT_MAX_BYTES,
    onStoreError = () => {},
  }: Readonly<RateLimitOptions>) {
    assertPolicy(policy);
    assertWhole('requests', rate.requests);
    assertWhole('windowMs / 1000', rate.windowMs / 1000);
    this.policy = policy;
    this.rate = rate;
    const options = { keyPrefix: `rate:${policy}`, points: rate.requests, duration: rate.windowMs / 1000 };
    const own = new RateLimiterMemory(options);
    this.#counted = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (_true, key) => OVERHEAD_BYTES + 2 * key.length,
      dispose: (_true, key, reason) => {
        if (reason === 'evict') own.delete(key);
      },
    });
    this.#limiter = evaluate ? redisCounter({ ...options, evaluate, onStoreError, insurance: own }) : own;
  }

  async take(of: string): Promise<Verdict> {
    const key = shortened(of);
    if (!this.#counted.get(key)) this.#counted.set(key, true);
    try {
      return verdict(true, await this.#limiter.consume(key));
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return verdict(false, refusal);
      throw refusal;
    }
  }
}

function verdict(admitted: boolean, { remainingPoints, msBeforeNext }: RateLimiterRes): Verdict {
  return { admitted, remaining: remainingPoints, resetMs: msBeforeNext };
}

function assertPolicy(policy: string): void {
  if (/^[\w-]+$/.test(policy)) return;
  throw new TypeError(`RateLimit: policy must be letters, digits, - and _, got "${policy}"`);
}

function assertWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return;
  throw new RangeError(`RateLimit: ${name} must be a whole number above 0, got ${value}`);
}
