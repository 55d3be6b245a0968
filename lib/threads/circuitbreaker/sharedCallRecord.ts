import { type FailedCall, type Verdict, verdictOn } from '../../circuitbreaker/callRecord.ts';
import { BUCKETS, bucketAt, clearPassed } from '../../circuitbreaker/callWindow.ts';
import type { BreakerRules } from '../../circuitbreaker/contract.ts';
import { type RecentFailure, withFailure } from '../../circuitbreaker/recentFailures.ts';
import { fnv1a } from '../../util/hash.ts';
import type { Cells, CellsSize } from '../cells.ts';
import { NOBODY } from './breakerCells.ts';

/** Whole numbers, behind those of the breaker itself. */
const ABSENT_IN_A_ROW = 0;
const FAILURES = 1;
/** The two addresses and the two names that were served last: enough to tell whether another one was. */
const SERVED_ADDRESSES = 2;
const SERVED_NAMES = 4;
const GOOD = 6;
const FAILED = GOOD + BUCKETS;
const FAILURE_CALLERS = FAILED + BUCKETS;

/** Fractions, behind those of the breaker itself. */
const BUCKET = 0;
/** When each of the four was served. */
const SERVED_AT = 1;
const FAILURE_TIMES = 5;

/** A caller as a number that is not `NOBODY`. */
export function hashOf(caller: string): number {
  return fnv1a(caller) || 1;
}

/** On whose behalf a call is made: hashes. */
export interface HashedCaller {
  readonly caller: number;
  readonly address: number;
}

/** A `CallRecord` in cells. Callers are hashes: two that share one count as one. */
export class SharedCallRecord {
  readonly #rules: Required<BreakerRules>;
  readonly #cells: Cells;
  readonly #whole: number;
  readonly #fraction: number;

  /** @param offsets where its own numbers begin */
  constructor(rules: Required<BreakerRules>, cells: Cells, offsets: Required<CellsSize>) {
    this.#rules = rules;
    this.#cells = cells;
    this.#whole = offsets.whole;
    this.#fraction = offsets.fractions;
  }

  static sizeFor(threshold: number): Required<CellsSize> {
    return { whole: FAILURE_CALLERS + 2 * threshold, fractions: FAILURE_TIMES + 2 * threshold };
  }

  /** A good response began. Returns the bucket in which it was counted. Not to be called within `exclusively`. */
  good({ caller, address }: HashedCaller, nowMs: number): number {
    const cells = this.#cells;
    if (this.#get(ABSENT_IN_A_ROW) !== 0) this.#set(ABSENT_IN_A_ROW, 0);
    this.#served(SERVED_ADDRESSES, address, nowMs);
    if (caller !== address) this.#served(SERVED_NAMES, caller, nowMs);
    const bucket = bucketAt(nowMs, this.#rules.windowMs);
    if (bucket > this.#fractionAt(BUCKET)) cells.exclusively(() => this.#advance(nowMs));
    this.#add(GOOD, bucket, 1);
    return bucket;
  }

  /** A response came that counts neither as good nor as failed. */
  responded(): void {
    this.#set(ABSENT_IN_A_ROW, 0);
  }

  /** A call failed. To be called within `exclusively`. */
  failed(
    by: HashedCaller & { readonly countedIn: number | undefined },
    { failure, responded, nowMs }: FailedCall,
  ): Verdict {
    this.#advance(nowMs);
    if (responded) this.responded();
    if (by.countedIn !== undefined) this.#takeBackGood(by.countedIn);
    if (failure === 'absent') this.#set(ABSENT_IN_A_ROW, this.#get(ABSENT_IN_A_ROW) + 1);
    const caller = failure === 'absent' ? undefined : by.caller;
    const anotherServed = caller !== undefined && this.hasServedAnother(by, nowMs);
    const newest = { atMs: nowMs, caller };
    const { kept, count, isInRatio } = withFailure(this.#failures(), newest, {
      ...this.#rules,
      anotherServed,
    });
    if (isInRatio) this.#add(FAILED, bucketAt(nowMs, this.#rules.windowMs), 1);
    this.#keep(kept);
    return verdictOn(
      {
        count,
        absentInARow: this.#get(ABSENT_IN_A_ROW),
        good: this.#sum(GOOD),
        failed: this.#sum(FAILED),
      },
      this.#rules,
    );
  }

  hasServed(nowMs: number): boolean {
    return this.#sawAnother(SERVED_ADDRESSES, NOBODY, nowMs - this.#rules.windowMs);
  }

  /** Forgets everything. */
  clear(): void {
    for (let i = 0; i < FAILURE_CALLERS; i += 1) this.#set(i, 0);
  }

  #takeBackGood(bucket: number): void {
    if (bucket > this.#fractionAt(BUCKET) - BUCKETS) this.#add(GOOD, bucket, -1);
  }

  #failures(): RecentFailure<number>[] {
    return Array.from({ length: this.#get(FAILURES) }, (_, i) => {
      const caller = this.#get(FAILURE_CALLERS + i);
      return { atMs: this.#fractionAt(FAILURE_TIMES + i), caller: caller === NOBODY ? undefined : caller };
    });
  }

  #keep(failures: readonly RecentFailure<number>[]): void {
    this.#set(FAILURES, failures.length);
    for (const [i, { atMs, caller = NOBODY }] of failures.entries()) {
      this.#set(FAILURE_CALLERS + i, caller);
      this.#setFraction(FAILURE_TIMES + i, atMs);
    }
  }

  #served(pair: number, who: number, nowMs: number): void {
    if (!this.#sawAgain(pair, who, nowMs)) this.#cells.exclusively(() => this.#addAnother(pair, who, nowMs));
  }

  #sawAgain(pair: number, who: number, nowMs: number): boolean {
    for (let place = pair; place < pair + 2; place += 1) {
      if (this.#get(place) !== who) continue;
      this.#setFraction(timeOf(place), nowMs);
      return true;
    }
    return false;
  }

  #addAnother(pair: number, who: number, nowMs: number): void {
    const older = this.#servedAt(pair) <= this.#servedAt(pair + 1) ? pair : pair + 1;
    this.#set(older, who);
    this.#setFraction(timeOf(older), nowMs);
  }

  #servedAt(place: number): number {
    return this.#get(place) === NOBODY ? Number.NEGATIVE_INFINITY : this.#fractionAt(timeOf(place));
  }

  #sawAnother(pair: number, who: number, sinceMs: number): boolean {
    return [pair, pair + 1].some((place) => this.#get(place) !== who && this.#servedAt(place) > sinceMs);
  }

  hasServedAnother({ caller, address }: HashedCaller, nowMs: number): boolean {
    const sinceMs = nowMs - this.#rules.windowMs;
    if (this.#sawAnother(SERVED_ADDRESSES, address, sinceMs)) return true;
    return caller !== address && this.#sawAnother(SERVED_NAMES, caller, sinceMs);
  }

  #advance(nowMs: number): void {
    const bucket = bucketAt(nowMs, this.#rules.windowMs);
    if (bucket <= this.#fractionAt(BUCKET)) return;
    clearPassed(this.#fractionAt(BUCKET), bucket, (place) => {
      this.#set(GOOD + place, 0);
      this.#set(FAILED + place, 0);
    });
    this.#setFraction(BUCKET, bucket);
  }

  #sum(from: number): number {
    let total = 0;
    for (let i = 0; i < BUCKETS; i += 1) total += this.#get(from + i);
    return total;
  }

  #add(buckets: number, bucket: number, amount: number): void {
    this.#cells.add(this.#whole + buckets + (bucket % BUCKETS), amount);
  }

  #get(index: number): number {
    return this.#cells.get(this.#whole + index);
  }

  #set(index: number, value: number): void {
    this.#cells.set(this.#whole + index, value);
  }

  #fractionAt(index: number): number {
    return this.#cells.fractions[this.#fraction + index] as number;
  }

  #setFraction(index: number, value: number): void {
    this.#cells.fractions[this.#fraction + index] = value;
  }
}

function timeOf(place: number): number {
  return SERVED_AT + place - SERVED_ADDRESSES;
}
