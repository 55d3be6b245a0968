import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import type { CellsSize, Share } from '../threads/cells.ts';
import { alone } from '../threads/ownCells.ts';

export interface BreakerOptions {
  /** Failures within the window that open the breaker, 1 or more. */
  readonly threshold: number;
  /** How long a failure counts. */
  readonly windowMs: number;
  /** How long the breaker stays open before it lets one trial through. */
  readonly cooldownMs: number;
  /** The `ticks` of all threads that share the breaker must be of one kind. */
  readonly clock?: Clock;
  /** Called in the thread that has changed the state, or seen the failure. */
  readonly onEvent?: (event: BreakerEvent) => void;
  /** Called there whenever `admits` has changed, before the events that go with it. It must not ask the breaker. */
  readonly onAdmits?: (admits: boolean) => void;
  /** This thread's part in a breaker of several, of `CircuitBreaker.sizeFor`. Default: it is alone. */
  readonly share?: Share;
}

const STATES = ['closed', 'open', 'half-open'] as const;
export type BreakerState = (typeof STATES)[number];

/** What a breaker tells the outside, after its state is settled. */
export type BreakerEvent =
  | { readonly kind: 'failure'; readonly count: number }
  | {
      readonly kind: 'transition';
      readonly from: BreakerState;
      readonly to: BreakerState;
      /** Not by what was seen here, but by what somebody else said. */
      readonly hinted: boolean;
    };

const [CLOSED, OPEN, HALF_OPEN] = [0, 1, 2];

/** Whole numbers: the state; how many transitions there were, so that a call of an earlier state is told apart... */
const STATE = 0;
const GENERATION = 1;
/** ...whose seat, plus 1, waits for the cooldown (open) or has the trial (half-open); and how many failures are kept. */
const KEEPER = 2;
const FAILURES = 3;
const NOBODY = 0;

/** Fractions: when the cooldown ends, then when each failure was. */
const UNTIL = 0;
const FIRST_FAILURE = 1;

type Tell = (event: BreakerEvent) => void;

/**
 * Leave to call a replica once. Reports of an older state are dropped, and one call is one failure at most: a call
 * that seemed to succeed may still fail, when its answer breaks off.
 */
export interface Permit {
  succeed(): void;
  fail(): void;
  /** The call ended without saying anything about the replica. */
  abandon(): void;
}

/**
 * Closed, open, half-open for one replica. Knows no HTTP.
 *
 * `threshold` failures within `windowMs` open it; after exactly `cooldownMs` it is half-open and lets one call at a
 * time through as a trial: its success closes the breaker, its failure opens it for another cooldown. A hint from
 * elsewhere opens it or ends its cooldown early; the way back is always its own trial.
 *
 * Several threads may share one: they then count failures together and make one trial among all of them.
 */
export class CircuitBreaker {
  readonly threshold: number;
  readonly windowMs: number;
  readonly share: Share;
  readonly #cooldownMs: number;
  readonly #clock: Clock;
  readonly #onEvent: (event: BreakerEvent) => void;
  readonly #onAdmits: (admits: boolean) => void;
  #cancelCooldown: Cancel = () => {};
  #disposed = false;

  constructor(options: Readonly<BreakerOptions>) {
    const { threshold, windowMs, cooldownMs, clock = systemClock } = options;
    for (const [name, value] of Object.entries({ threshold, windowMs, cooldownMs })) {
      if (!(value >= 1)) throw new RangeError(`CircuitBreaker: ${name} must be at least 1, got ${value}`);
    }
    this.threshold = threshold;
    this.windowMs = windowMs;
    this.#cooldownMs = cooldownMs;
    this.#clock = clock;
    this.#onEvent = listener(options.onEvent);
    this.#onAdmits = listener(options.onAdmits);
    this.share = options.share ?? alone(CircuitBreaker.sizeFor(threshold));
  }

  static sizeFor(threshold: number): CellsSize {
    return { whole: 4, fractions: FIRST_FAILURE + threshold };
  }

  get state(): BreakerState {
    return STATES[this.share.cells.get(STATE)] ?? 'closed';
  }

  /** Whether `tryAcquire` would hand out a permit now. */
  get admits(): boolean {
    const { cells } = this.share;
    const state = cells.get(STATE);
    return state === CLOSED || (state === HALF_OPEN && cells.get(KEEPER) === NOBODY);
  }

  /** Milliseconds until a call may be let through; 0 means now. */
  get retryAfterMs(): number {
    const { cells } = this.share;
    if (cells.get(STATE) === OPEN) return Math.max(1, this.#untilMs - this.#clock.ticks());
    // A trial decides soon, but nobody knows when: ask again in a second.
    return this.admits ? 0 : 1000;
  }

  /** Leave to make one call, or `undefined` while the breaker is open or its trial is under way. */
  tryAcquire(): Permit | undefined {
    const { cells } = this.share;
    // Before the state: a permit of a state that ends just now is one of an earlier state.
    const generation = cells.get(GENERATION);
    const state = cells.get(STATE);
    if (state === CLOSED) return this.#permit(generation);
    return state === HALF_OPEN ? this.#beginTrial() : undefined;
  }

  /** Somebody else's breaker for this replica has opened: so does a closed one. */
  hintFailing(): void {
    this.#change((tell) => {
      if (this.#is(CLOSED)) this.#open(tell, { hinted: true });
    });
  }

  /** Somebody else's trial went well: an open breaker makes its own now. */
  hintRecovered(): void {
    this.#change((tell) => {
      if (this.#is(OPEN)) this.#become(HALF_OPEN, tell, { hinted: true });
    });
  }

  /** Calls `onAdmits` with what holds now, for somebody who may have missed it. */
  tellAdmits(): void {
    this.#change(() => this.#onAdmits(this.admits));
  }

  /** Ends its timer in this thread and hears no late report: the replica has left. */
  dispose(): void {
    this.#cancelCooldown();
    this.#disposed = true;
  }

  /** Takes over what a thread that has ended was to do: wait for the end of the cooldown, or report a trial. */
  leave(seat: number): void {
    const { cells } = this.share;
    cells.leave(seat);
    this.#change((tell) => {
      if (cells.get(KEEPER) !== seat + 1) return;
      if (this.#is(HALF_OPEN)) this.#become(HALF_OPEN, tell);
      else this.#waitForCooldown();
    });
  }

  get #untilMs(): number {
    return this.share.cells.fractions[UNTIL] as number;
  }

  #is(state: number): boolean {
    return this.share.cells.get(STATE) === state;
  }

  #beginTrial(): Permit | undefined {
    return this.#change((tell) => {
      if (!this.admits) return undefined;
      this.#become(HALF_OPEN, tell, { keeper: this.share.seat + 1 });
      return this.#permit(this.share.cells.get(GENERATION));
    });
  }

  #permit(generation: number): Permit {
    let failed = false;
    const isCurrent = () => generation === this.share.cells.get(GENERATION) && !this.#disposed;
    const ifCurrent = (report: (tell: Tell) => void) =>
      this.#change((tell) => {
        if (isCurrent()) report(tell);
      });
    return {
      succeed: () => {
        if (isCurrent() && this.#is(HALF_OPEN)) ifCurrent((tell) => this.#succeeded(tell));
      },
      fail: () => {
        if (!isCurrent()) return;
        if (!failed) ifCurrent((tell) => this.#failed(tell));
        failed = true;
      },
      abandon: () => {
        if (isCurrent() && this.#is(HALF_OPEN)) ifCurrent((tell) => this.#become(HALF_OPEN, tell));
      },
    };
  }

  #succeeded(tell: Tell): void {
    this.share.cells.set(FAILURES, 0);
    this.#become(CLOSED, tell);
  }

  #failed(tell: Tell): void {
    const count = this.#is(HALF_OPEN) ? this.threshold : this.#countFailure();
    tell({ kind: 'failure', count });
    if (count >= this.threshold) this.#open(tell);
  }

  /** Keeps the failures of the window and one more; how many there are then. */
  #countFailure(): number {
    const { cells } = this.share;
    const nowMs = this.#clock.ticks();
    let kept = 0;
    for (let i = 0; i < cells.get(FAILURES); i += 1) {
      const atMs = cells.fractions[FIRST_FAILURE + i] as number;
      if (nowMs - atMs >= this.windowMs) continue;
      cells.fractions[FIRST_FAILURE + kept] = atMs;
      kept += 1;
    }
    cells.fractions[FIRST_FAILURE + kept] = nowMs;
    cells.set(FAILURES, kept + 1);
    return kept + 1;
  }

  #open(tell: Tell, { hinted = false } = {}): void {
    const { cells } = this.share;
    cells.set(FAILURES, 0);
    cells.fractions[UNTIL] = this.#clock.ticks() + this.#cooldownMs;
    this.#become(OPEN, tell, { hinted });
    this.#waitForCooldown();
  }

  #waitForCooldown(): void {
    const { cells, seat } = this.share;
    const generation = cells.get(GENERATION);
    cells.set(KEEPER, seat + 1);
    this.#cancelCooldown = this.#clock.after(Math.max(0, this.#untilMs - this.#clock.ticks()), () => {
      this.#change((tell) => {
        if (generation === cells.get(GENERATION)) this.#become(HALF_OPEN, tell);
      });
    });
  }

  /** The one place where the state changes, always within `#change`. */
  #become(next: number, tell: Tell, { keeper = NOBODY, hinted = false } = {}): void {
    const { cells } = this.share;
    const from = this.state;
    const admitted = this.admits;
    this.#cancelCooldown();
    cells.set(STATE, next);
    cells.set(KEEPER, keeper);
    cells.add(GENERATION, 1);
    if (admitted !== this.admits) this.#onAdmits(this.admits);
    if (from !== this.state) tell({ kind: 'transition', from, to: this.state, hinted });
  }

  /** Changes the state while no other thread does; what there is to tell is told after it is settled. */
  #change<T>(action: (tell: Tell) => T): T {
    const events: BreakerEvent[] = [];
    const result = this.share.cells.exclusively(() => action((event) => void events.push(event)));
    for (const event of events) this.#onEvent(event);
    return result;
  }
}
