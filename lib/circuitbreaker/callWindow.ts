/** The window is counted in so many parts. One more is kept, so that never less than a whole window is counted. */
const PARTS = 10;
export const BUCKETS = PARTS + 1;

/** The number of the bucket that `nowMs` falls into, counted from the clock's beginning. */
export function bucketAt(nowMs: number, windowMs: number): number {
  return Math.floor(nowMs / (windowMs / PARTS));
}

/** Calls `clear` with the index of each bucket that time has passed since `from`, however long ago that was. */
export function clearPassed(from: number, to: number, clear: (place: number) => void): void {
  for (let bucket = Math.max(from + 1, to - BUCKETS + 1); bucket <= to; bucket += 1) clear(bucket % BUCKETS);
}

/** How many of the calls within the window went well, and how many failed. */
export class CallWindow {
  readonly #windowMs: number;
  readonly #good = new Float64Array(BUCKETS);
  readonly #failed = new Float64Array(BUCKETS);
  #bucket = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Counts a call that went well. Returns the number of its bucket. */
  addGood(nowMs: number): number {
    this.#advance(nowMs);
    const place = this.#bucket % BUCKETS;
    this.#good[place] = (this.#good[place] as number) + 1;
    return this.#bucket;
  }

  addFailed(nowMs: number): void {
    this.#advance(nowMs);
    const place = this.#bucket % BUCKETS;
    this.#failed[place] = (this.#failed[place] as number) + 1;
  }

  /** A call that was counted as good in `bucket` failed after all. */
  takeBackGood(bucket: number, nowMs: number): void {
    this.#advance(nowMs);
    const place = bucket % BUCKETS;
    if (bucket > this.#bucket - BUCKETS) this.#good[place] = (this.#good[place] as number) - 1;
  }

  totals(nowMs: number): { readonly good: number; readonly failed: number } {
    this.#advance(nowMs);
    return { good: sum(this.#good), failed: sum(this.#failed) };
  }

  #advance(nowMs: number): void {
    const bucket = bucketAt(nowMs, this.#windowMs);
    if (bucket <= this.#bucket) return;
    clearPassed(this.#bucket, bucket, (place) => {
      this.#good[place] = 0;
      this.#failed[place] = 0;
    });
    this.#bucket = bucket;
  }
}

function sum(counts: Float64Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
