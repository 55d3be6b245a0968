import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';

export interface BreakerOptions {
  /** Failures within the window that open the breaker, 1 or more. */
  readonly threshold: number;
  /** How long a failure counts. */
  readonly windowMs: number;
  /** How long the breaker stays open before it lets one trial through. */
  readonly cooldownMs: number;
  readonly clock?: Clock;
  readonly onEvent?: (event: BreakerEvent) => void;
  /** Called whenever `admits` has changed, before the events that go with it. */
  readonly onAdmits?: (admits: boolean) => void;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

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

type State =
  | { readonly name: 'closed'; readonly failuresAtMs: readonly number[] }
  | { readonly name: 'open'; readonly untilMs: number; readonly cancel: Cancel }
  | { readonly name: 'half-open'; readonly trialUnderWay: boolean };

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
 */
export class CircuitBreaker {
  readonly threshold: number;
  readonly windowMs: number;
  readonly #cooldownMs: number;
  readonly #clock: Clock;
  readonly #onEvent: (event: BreakerEvent) => void;
  readonly #onAdmits: (admits: boolean) => void;
  #state: State = { name: 'closed', failuresAtMs: [] };
  /** Counts transitions, so that a call of an earlier state is told apart. */
  #generation = 0;

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
  }

  get state(): BreakerState {
    return this.#state.name;
  }

  /** Whether `tryAcquire` would hand out a permit now. */
  get admits(): boolean {
    return this.#state.name === 'closed' || (this.#state.name === 'half-open' && !this.#state.trialUnderWay);
  }

  /** Milliseconds until a call may be let through; 0 means now. */
  get retryAfterMs(): number {
    const state = this.#state;
    if (state.name === 'open') return Math.max(1, state.untilMs - this.#clock.ticks());
    // A trial decides soon, but nobody knows when: ask again in a second.
    return this.admits ? 0 : 1000;
  }

  /** Leave to make one call, or `undefined` while the breaker is open or its trial is under way. */
  tryAcquire(): Permit | undefined {
    if (!this.admits) return undefined;
    if (this.#state.name === 'half-open') this.#become({ name: 'half-open', trialUnderWay: true });
    return this.#permit(this.#generation);
  }

  /** Somebody else's breaker for this replica has opened: so does a closed one. */
  hintFailing(): void {
    if (this.#state.name === 'closed') this.#open();
  }

  /** Somebody else's trial went well: an open breaker makes its own now. */
  hintRecovered(): void {
    if (this.#state.name === 'open')
      this.#become({ name: 'half-open', trialUnderWay: false }, { hinted: true });
  }

  /** Ends its timer and hears no late report: the replica has left. */
  dispose(): void {
    this.#cancelCooldown();
    this.#generation += 1;
  }

  #permit(generation: number): Permit {
    let failed = false;
    const ifCurrent = (report: () => void) => () => {
      if (generation === this.#generation) report();
    };
    return {
      succeed: ifCurrent(() => this.#succeeded()),
      fail: ifCurrent(() => {
        if (!failed) this.#failed();
        failed = true;
      }),
      abandon: ifCurrent(() => this.#abandoned()),
    };
  }

  #succeeded(): void {
    if (this.#state.name === 'half-open') this.#become({ name: 'closed', failuresAtMs: [] });
  }

  #failed(): void {
    const nowMs = this.#clock.ticks();
    const failuresAtMs = [...this.#recentFailuresAtMs(nowMs), nowMs];
    const count = this.#state.name === 'half-open' ? this.threshold : failuresAtMs.length;
    const failure = { kind: 'failure', count } as const;
    if (count >= this.threshold) {
      this.#open(failure);
    } else {
      this.#state = { name: 'closed', failuresAtMs };
      this.#onEvent(failure);
    }
  }

  /** Without a `cause` it was seen elsewhere. */
  #open(cause?: BreakerEvent): void {
    const untilMs = this.#clock.ticks() + this.#cooldownMs;
    const cancel = this.#clock.after(this.#cooldownMs, () => {
      this.#become({ name: 'half-open', trialUnderWay: false });
    });
    this.#become({ name: 'open', untilMs, cancel }, { cause, hinted: !cause });
  }

  #recentFailuresAtMs(nowMs: number): readonly number[] {
    if (this.#state.name !== 'closed') return [];
    return this.#state.failuresAtMs.filter((atMs) => nowMs - atMs < this.windowMs);
  }

  #abandoned(): void {
    if (this.#state.name === 'half-open') this.#become({ name: 'half-open', trialUnderWay: false });
  }

  #cancelCooldown(): void {
    if (this.#state.name === 'open') this.#state.cancel();
  }

  /** The one place where the state changes from one name to another; `cause` is told before the change. */
  #become(next: State, { cause, hinted = false }: { cause?: BreakerEvent; hinted?: boolean } = {}): void {
    const from = this.#state.name;
    const admitted = this.admits;
    this.#cancelCooldown();
    this.#state = next;
    this.#generation += 1;
    if (admitted !== this.admits) this.#onAdmits(this.admits);
    if (cause) this.#onEvent(cause);
    if (from !== next.name) this.#onEvent({ kind: 'transition', from, to: next.name, hinted });
  }
}
