import { LRUCache } from 'lru-cache';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { shortened } from '../util/shortened.ts';
import { type Evaluate, sharedLimiter } from './sharedLimiter.ts';

/** For each limit. Whoever leaves for others begins a window of their own anew. */
const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;
/** A counter with its timer, and its place in the order of use. */
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
  /** Runs a script in the Redis that all gateways count in. Without it this process counts for itself. */
  readonly evaluate?: Evaluate | undefined;
  /** Memory for what is counted in this process, in bytes. Default 32 MiB. */
  readonly maxBytes?: number;
  /** Told of each request that was counted here alone, because Redis could not. */
  readonly onStoreError?: (error: Error) => void;
}

/** What became of one request. */
export interface Verdict {
  readonly admitted: boolean;
  /** Requests left in the window. */
  readonly remaining: number;
  /** Until the window ends and all requests are there again, in milliseconds. */
  readonly resetMs: number;
}

/** Whoever counts requests by key, here or elsewhere. */
export interface RateCounter {
  readonly policy: string;
  readonly rate: Rate;
  /** Counts one request for `key`. */
  take(key: string): Promise<Verdict>;
}

/**
 * So many requests for each key in a window of time. Over several gateways on one Redis exactly so many pass.
 *
 * Availability comes before exactness: while Redis does not answer, each process counts for itself, so at worst as
 * many requests pass as there are gateways times the limit. Who is over the limit is refused from memory.
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
    this.#limiter = evaluate ? sharedLimiter({ ...options, evaluate, onStoreError, insurance: own }) : own;
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
