import type { FailureKind } from '../exchange/attempt.ts';
import { LastCaller } from '../util/lastCaller.ts';
import { CallWindow } from './callWindow.ts';
import type { BreakerRules, Held } from './contract.ts';
import { type RecentFailure, withFailure } from './recentFailures.ts';

/** On whose behalf a call is made, as a `CallPermit` has it. */
export interface Caller {
  readonly caller: string;
  readonly address: string;
}

/** How a call failed. */
export interface FailedCall {
  readonly failure: FailureKind;
  /** Whether the head of a response came. */
  readonly responded: boolean;
  readonly nowMs: number;
}

/** What is counted at the moment of a failure. */
export interface Counted {
  /** Failures that count towards the threshold. */
  readonly count: number;
  /** `absent` failures since the last response. */
  readonly absentInARow: number;
  /** Good and failed calls in the window, of which the ratio is taken. */
  readonly good: number;
  readonly failed: number;
}

/** Whether a closed breaker is to open. */
export interface Verdict {
  /** Failures that count towards the threshold. */
  readonly count: number;
  /** The reason for which the breaker is to open; undefined: it stays closed. */
  readonly opensFor: FailureKind | undefined;
  /** Set where there are failures enough, and the breaker is to stay closed all the same. */
  readonly held?: Held;
}

/**
 * The rule that opens a closed breaker: `threshold` absent failures in a row; or `threshold` failures of any kind that are at least
 * `ratio` of all calls in the window.
 */
export function verdictOn(
  { count, absentInARow, good, failed }: Counted,
  { threshold, ratio }: Required<BreakerRules>,
): Verdict {
  if (absentInARow >= threshold) return { count: threshold, opensFor: 'absent' };
  if (count < threshold) return { count: Math.max(count, absentInARow), opensFor: undefined };
  const calls = good + failed;
  if (failed >= ratio * calls) return { count, opensFor: 'bad' };
  return { count, opensFor: undefined, held: { by: 'ratio', failures: failed, calls } };
}

/** What a closed breaker remembers of the calls in its window. Only the threshold bounds its size. */
export class CallRecord {
  readonly #rules: Required<BreakerRules>;
  readonly #calls: CallWindow;
  readonly #servedAddresses = new LastCaller();
  readonly #servedNames = new LastCaller();
  #failures: readonly RecentFailure<string>[] = [];
  #absentInARow = 0;

  constructor(rules: Required<BreakerRules>) {
    this.#rules = rules;
    this.#calls = new CallWindow(rules.windowMs);
  }

  /** A good response began. Returns the bucket in which it was counted. */
  good({ caller, address }: Caller, nowMs: number): number {
    this.#absentInARow = 0;
    this.#servedAddresses.add(address, nowMs);
    if (caller !== address) this.#servedNames.add(caller, nowMs);
    return this.#calls.addGood(nowMs);
  }

  /** A response came that counts neither as good nor as failed. */
  responded(): void {
    this.#absentInARow = 0;
  }

  /** A call failed. One that was counted as good before is not any more, because its response broke off. */
  failed(
    by: Caller & { readonly countedIn: number | undefined },
    { failure, responded, nowMs }: FailedCall,
  ): Verdict {
    if (responded) this.responded();
    if (by.countedIn !== undefined) this.#calls.takeBackGood(by.countedIn, nowMs);
    if (failure === 'absent') this.#absentInARow += 1;
    const caller = failure === 'absent' ? undefined : by.caller;
    const anotherServed = caller !== undefined && this.hasServedAnother(by, nowMs);
    const newest = { atMs: nowMs, caller };
    const { kept, count, isInRatio } = withFailure(this.#failures, newest, { ...this.#rules, anotherServed });
    if (isInRatio) this.#calls.addFailed(nowMs);
    this.#failures = kept;
    const counted = { count, absentInARow: this.#absentInARow, ...this.#calls.totals(nowMs) };
    return verdictOn(counted, this.#rules);
  }

  /** Whether anybody got a good response within the window. */
  hasServed(nowMs: number): boolean {
    return this.#servedAddresses.sawAnother(undefined, nowMs - this.#rules.windowMs);
  }

  /** Whether anybody but this caller did: a caller of another name, or at another address. */
  hasServedAnother({ caller, address }: Caller, nowMs: number): boolean {
    const sinceMs = nowMs - this.#rules.windowMs;
    if (this.#servedAddresses.sawAnother(address, sinceMs)) return true;
    return caller !== address && this.#servedNames.sawAnother(caller, sinceMs);
  }
}
