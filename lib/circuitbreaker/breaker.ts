import { type Clock, systemClock } from '../clock/clock.ts';

export interface BreakerOptions {
  /** Failures within the window that open the breaker, 1 or more. */
  readonly threshold: number;
  /** How long a failure counts. */
  readonly windowMs: number;
  /** How long the breaker stays open before it lets one trial through. */
  readonly cooldownMs: number;
  readonly clock?: Clock;
  readonly onEvent?: (event: BreakerEvent) => void;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What a breaker tells the outside, after its state is settled. */
export type BreakerEvent =
  | { readonly kind: 'failure'; readonly count: number }
  | { readonly kind: 'transition'; readonly from: BreakerState; readonly to: BreakerState };

type State =
  | { readonly name: 'closed'; readonly failuresAtMs: readonly number[] }
  | { readonly name: 'open'; readonly untilMs: number }
  | { readonly name: 'half-open'; readonly trialUnderWay: boolean };

/** Leave to call a replica once. Report one outcome; reports of an older state are dropped. */
export interface Permit {
  succeed(): void;
  fail(): void;
  /** The call ended without saying anything about the replica. */
  abandon(): void;
}

/**
 * Closed, open, half-open for one replica. Knows no HTTP.
 *
 * `threshold` failures within `windowMs` open it; after `cooldownMs` one call at a time is let through as a
 * trial: its success closes the breaker, its failure opens it for another cooldown.
 */
export class CircuitBreaker {
  readonly threshold: number;
  readonly windowMs: number;
  readonly #cooldownMs: number;
  readonly #clock: Clock;
  readonly #onEvent: (event: BreakerEvent) => void;
  #state: State = { name: 'closed', failuresAtMs: [] };
  /** Counts transitions, so that a call of an earlier state is told apart. */
  #generation = 0;

  constructor({
    threshold,
    windowMs,
    cooldownMs,
    clock = systemClock,
    onEvent = () => {},
  }: Readonly<BreakerOptions>) {
    for (const [name, value] of Object.entries({ threshold, windowMs, cooldownMs })) {
      if (!(value >= 1)) throw new RangeError(`CircuitBreaker: ${name} must be at least 1, got ${value}`);
    }
    this.threshold = threshold;
    this.windowMs = windowMs;
    this.#cooldownMs = cooldownMs;
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  get state(): BreakerState {
    return this.#state.name;
  }

  /** Whether `tryAcquire` would hand out a permit now. */
  get admits(): boolean {
    return this.retryAfterMs === 0;
  }

  /** Milliseconds until a call may be let through; 0 means now. */
  get retryAfterMs(): number {
    const state = this.#state;
    if (state.name === 'open') return Math.max(0, state.untilMs - this.#clock.now());
    // A trial decides soon, but nobody knows when: ask again in a second.
    return state.name === 'half-open' && state.trialUnderWay ? 1000 : 0;
  }

  /** Leave to make one call, or `undefined` while the breaker is open or its trial is under way. */
  tryAcquire(): Permit | undefined {
    if (!this.admits) return undefined;
    if (this.#state.name !== 'closed') this.#become({ name: 'half-open', trialUnderWay: true });
    return this.#permit(this.#generation);
  }

  #permit(generation: number): Permit {
    const ifCurrent = (report: () => void) => () => {
      if (generation === this.#generation) report();
    };
    return {
      succeed: ifCurrent(() => this.#succeeded()),
      fail: ifCurrent(() => this.#failed()),
      abandon: ifCurrent(() => this.#abandoned()),
    };
  }

  #succeeded(): void {
    if (this.#state.name === 'half-open') this.#become({ name: 'closed', failuresAtMs: [] });
  }

  #failed(): void {
    const nowMs = this.#clock.now();
    if (this.#state.name === 'closed') {
      const recent = this.#state.failuresAtMs.filter((atMs) => nowMs - atMs < this.windowMs);
      const failuresAtMs = [...recent, nowMs];
      this.#state = { name: 'closed', failuresAtMs };
      this.#onEvent({ kind: 'failure', count: failuresAtMs.length });
      if (failuresAtMs.length < this.threshold) return;
    } else {
      this.#onEvent({ kind: 'failure', count: this.threshold });
    }
    this.#become({ name: 'open', untilMs: nowMs + this.#cooldownMs });
  }

  #abandoned(): void {
    if (this.#state.name === 'half-open') this.#become({ name: 'half-open', trialUnderWay: false });
  }

  /** The one place where the state changes from one name to another. */
  #become(next: State): void {
    const from = this.#state.name;
    this.#state = next;
    this.#generation += 1;
    if (from !== next.name) this.#onEvent({ kind: 'transition', from, to: next.name });
  }
}
