import type { BreakerState } from '../../circuitbreaker/contract.ts';
import { CLOSED, type Closed, type HalfOpen, type Next, type Open } from '../../circuitbreaker/states.ts';
import type { FailureKind } from '../../exchange/attempt.ts';
import type { Cells, CellsSize } from '../cells.ts';

/** A state in which callers are hashes. */
export type SharedState = Closed | Open<number> | HalfOpen<number>;

export const NOBODY = 0;

const STATES = ['closed', 'open', 'half-open'] as const;
const FAILURES = ['bad', 'absent'] as const;
const CLOSED_INDEX = STATES.indexOf('closed');

/** Whole numbers: the state, and how many there were, so that a call of an earlier state is told apart. */
const STATE = 0;
const GENERATION = 1;
/** The number, plus 1, of the thread that waits for the end of the cooldown (open) or makes the trial (half-open). */
const IN_CHARGE = 2;
const FAILURE = 3;
const IS_SECOND = 4;
/** `failedCaller` of open, `trialOf` of half-open. */
const CALLER = 5;
const OTHERS_WAIT = 6;
/** Fractions. */
const UNTIL = 0;

/** The state of a breaker, in cells. What is more than one number is read and written under their lock. */
export class BreakerCells {
  static readonly size: Required<CellsSize> = { whole: 7, fractions: 1 };
  readonly #cells: Cells;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get kind(): BreakerState {
    return STATES[this.#cells.get(STATE)] as BreakerState;
  }

  get isClosed(): boolean {
    return this.#cells.get(STATE) === CLOSED_INDEX;
  }

  get generation(): number {
    return this.#cells.get(GENERATION);
  }

  get state(): SharedState {
    const { kind } = this;
    if (kind === 'closed') return CLOSED;
    const failure = FAILURES[this.#cells.get(FAILURE)] as FailureKind;
    const caller = this.#cells.get(CALLER) === NOBODY ? undefined : this.#cells.get(CALLER);
    if (kind === 'open') return { kind, failure, failedCaller: caller, untilMs: this.untilMs };
    const [isSecond, othersWait] = [this.#cells.get(IS_SECOND) === 1, this.#cells.get(OTHERS_WAIT) === 1];
    return { kind, failure, trialOf: caller, isSecond, othersWait };
  }

  /** When the cooldown is over. */
  get untilMs(): number {
    return this.#cells.fractions[UNTIL] as number;
  }

  set untilMs(untilMs: number) {
    this.#cells.fractions[UNTIL] = untilMs;
  }

  /** Begins a state. */
  write(next: Next<number>): void {
    const cells = this.#cells;
    if (next.kind !== 'closed') cells.set(FAILURE, FAILURES.indexOf(next.failure));
    cells.set(CALLER, callerIn(next) ?? NOBODY);
    cells.set(OTHERS_WAIT, 0);
    cells.set(IS_SECOND, Number(next.kind === 'half-open' && next.isSecond));
    cells.set(IN_CHARGE, NOBODY);
    cells.set(STATE, STATES.indexOf(next.kind));
    cells.add(GENERATION, 1);
  }

  /** Another caller was turned away because of the trial. */
  othersWait(): void {
    this.#cells.set(OTHERS_WAIT, 1);
  }

  /** Whether the thread of this number waits for the end of the cooldown, or makes the trial. */
  isInCharge(threadNumber: number): boolean {
    return this.#cells.get(IN_CHARGE) === threadNumber + 1;
  }

  putInCharge(threadNumber: number): void {
    this.#cells.set(IN_CHARGE, threadNumber + 1);
  }
}

function callerIn(next: Next<number>): number | undefined {
  if (next.kind === 'closed') return undefined;
  return next.kind === 'open' ? next.failedCaller : next.trialOf;
}
