/** When an admitted request was sent, and when its response was there, in milliseconds: it was counted in between. */
export interface Admitted {
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** What a rate promises: in a time of `ms` at most `burst` and `perMs * ms` requests. */
export interface Promised {
  readonly perMs: number;
  readonly burst: number;
}

/** Redis counts in whole milliseconds, so that a window may be that much longer for it than it is. */
const CLOCK_MS = 1;

/**
 * By how many requests the promise was broken in the worst window, wherever between its two times each was counted; 0 or less:
 * it was kept. A window begins when a request was sent and ends when a response was there; only what was certainly counted within it
 * counts.
 */
export function mostTooMany(admitted: readonly Admitted[], { perMs, burst }: Promised): number {
  const starts = admitted.map(({ sentMs }) => sentMs).sort((a, b) => a - b);
  // For each start s: how many were sent from s on, of those whose response was there so far, and perMs * s.
  const sums = new PrefixMaxima(starts.map((startMs) => perMs * startMs));
  let worst = Number.NEGATIVE_INFINITY;
  for (const { sentMs, receivedMs } of admitted.toSorted((a, b) => a.receivedMs - b.receivedMs)) {
    sums.addUpTo(lastAt(starts, sentMs), 1);
    worst = Math.max(
      worst,
      sums.maxUpTo(lastAt(starts, receivedMs)) - perMs * (receivedMs + CLOCK_MS) - burst,
    );
  }
  return Math.ceil(worst - 1e-6);
}

/**
 * How many must be admitted at least in a time in which somebody has asked without a pause: the most that may be, less the burst.
 */
export function leastDue(ms: number, { perMs }: Promised): number {
  return Math.floor(perMs * ms);
}

/** The last index whose value is `most` or less; -1: there is none. */
function lastAt(sorted: readonly number[], most: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Numbers to whose beginning something is added, and of whose beginning the largest is asked: both in logarithmic time. */
class PrefixMaxima {
  readonly #size: number;
  readonly #max: Float64Array;
  readonly #added: Float64Array;

  constructor(values: readonly number[]) {
    this.#size = 2 ** Math.ceil(Math.log2(Math.max(1, values.length)));
    this.#max = new Float64Array(2 * this.#size).fill(Number.NEGATIVE_INFINITY);
    this.#added = new Float64Array(2 * this.#size);
    this.#max.set(values, this.#size);
    for (let node = this.#size - 1; node > 0; node -= 1) this.#join(node);
  }

  /** Adds to the numbers from the first to the one at `last`. */
  addUpTo(last: number, amount: number): void {
    this.#add(1, 0, this.#size - 1, last, amount);
  }

  /** The largest of the numbers from the first to the one at `last`. */
  maxUpTo(last: number): number {
    return this.#find(1, 0, this.#size - 1, last);
  }

  #add(node: number, first: number, end: number, last: number, amount: number): void {
    if (first > last) return;
    if (end <= last) {
      this.#max[node] = (this.#max[node] as number) + amount;
      this.#added[node] = (this.#added[node] as number) + amount;
      return;
    }
    const middle = (first + end) >>> 1;
    this.#add(2 * node, first, middle, last, amount);
    this.#add(2 * node + 1, middle + 1, end, last, amount);
    this.#join(node);
  }

  #find(node: number, first: number, end: number, last: number): number {
    if (first > last) return Number.NEGATIVE_INFINITY;
    if (end <= last) return this.#max[node] as number;
    const middle = (first + end) >>> 1;
    const ofParts = Math.max(
      this.#find(2 * node, first, middle, last),
      this.#find(2 * node + 1, middle + 1, end, last),
    );
    return ofParts + (this.#added[node] as number);
  }

  #join(node: number): void {
    const larger = Math.max(this.#max[2 * node] as number, this.#max[2 * node + 1] as number);
    this.#max[node] = larger + (this.#added[node] as number);
  }
}
