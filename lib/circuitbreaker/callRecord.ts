import type { FailureKind } from '../exchange/attempt.ts';
import { LastCaller } from '../util/lastCaller.ts';
import { CallWindow } from './callWindow.ts';
import type { BreakerRules, Held } from './contract.ts';
import {
  countTowards,
  failuresSince,
  isBeyondItsPart,
  type RecentFailure,
  withFailure,
} from './recentFailures.ts';

/** On whose behalf a call is made, as a `CallPermit` has it. */
export interface Caller {
  readonly caller: string;
  readonly address: string;
}

/** What is counted at the moment of a failure. */
export interface Counted {
  /** Failures that count towards the threshold. */
  readonly count: number;
  /** `absent` failures since there was a response. */
  readonly absentInARow: number;
  readonly good: number;
  readonly failed: number;
}

export interface Verdict {
  readonly count: number;
  /** For what the breaker is to open; undefined: it is not. */
  readonly opensFor: FailureKind | undefined;
  readonly held?: Held;
}

/** Whether a closed breaker opens by what is counted. */
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

/** What a closed breaker remembers of the calls in its window. Its size is bounded by the threshold alone. */
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

  /** A good response began; in which bucket it was counted. */
  good({ caller, address }: Caller, nowMs: number): number {
    this.#absentInARow = 0;
    this.#servedAddresses.add(address, nowMs);
    if (caller !== address) this.#servedNames.add(caller, nowMs);
    return this.#calls.addGood(nowMs);
  }

  /** The good response that was counted in `bucket` broke off. */
  takeBackGood(bucket: number, nowMs: number): void {
    this.#calls.takeBackGood(bucket, nowMs);
  }

  /** A response came that counts neither way. */
  responded(): void {
    this.#absentInARow = 0;
  }

  failed(failure: FailureKind, by: Caller, nowMs: number): Verdict {
    const { threshold, windowMs } = this.#rules;
    if (failure === 'absent') this.#absentInARow += 1;
    const blamed = failure === 'absent' ? undefined : by.caller;
    const anotherServed = blamed !== undefined && this.hasServedAnother(by, nowMs);
    const before = failuresSince(this.#failures, nowMs - windowMs);
    if (!isBeyondItsPart(before, blamed, { threshold, anotherServed })) this.#calls.addFailed(nowMs);
    this.#failures = withFailure(before, { atMs: nowMs, caller: blamed }, threshold);
    const count = countTowards(threshold, this.#failures, anotherServed);
    const counted = { count, absentInARow: this.#absentInARow, ...this.#calls.totals(nowMs) };
    return verdictOn(counted, this.#rules);
  }

  /** Whether anybody got a good response within the window. */
  hasServed(nowMs: number): boolean {
    return this.#servedAddresses.sawAnother(undefined, nowMs - this.#rules.windowMs);
  }

  /** The same of anybody but this caller: of another name, or at another address. */
  hasServedAnother({ caller, address }: Caller, nowMs: number): boolean {
    const sinceMs = nowMs - this.#rules.windowMs;
    if (this.#servedAddresses.sawAnother(address, sinceMs)) return true;
    return caller !== address && this.#servedNames.sawAnother(caller, sinceMs);
  }
}
