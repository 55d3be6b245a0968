import pLimit from 'p-limit';
import { type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../util/listener.ts';
import type { CheckEvent, CheckedReplica, CheckState, HealthTerms, ProbeOutcome } from './contract.ts';
import type { Prober } from './probe.ts';
import { ReplicaCheck } from './replicaCheck.ts';

/** Probes of one service that are under way at a time: replicas that hang take nothing from other services. */
const MOST_AT_ONCE = 64;
/** A replica is probed for the first time within so long. */
const FIRST_WITHIN_MS = 1_000;
/** First probes a second, when many replicas are listed at once. */
const MOST_FIRST_PER_SECOND = 100;

/** Tells the balancer whether a replica may be sent new requests. */
export type LetThrough = (key: string, passes: boolean) => void;

export interface ServiceChecksOptions {
  readonly terms: Pick<HealthTerms, 'intervalMs' | 'healthyAfter' | 'unhealthyAfter'>;
  readonly probe: Prober;
  readonly letThrough: LetThrough;
  readonly onEvent?: (event: CheckEvent) => void;
  readonly onOutcome?: (outcome: ProbeOutcome) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * The checks of all replicas of one service. A replica that is there before any has passed gets requests at once, one that
 * joins later once it has passed, as long as there are others.
 */
export class ServiceChecks {
  readonly #options: ServiceChecksOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onEvent: (event: CheckEvent) => void;
  readonly #onOutcome: (outcome: ProbeOutcome) => void;
  readonly #limit = pLimit(MOST_AT_ONCE);
  readonly #checks = new Map<string, ReplicaCheck>();
  /** How many replicas get requests, as far as checks are concerned. */
  #passing = 0;
  /** Whether any replica has ever passed. */
  #isProven = false;
  #isDoubted = false;
  /** Whether no replica was left at the latest look. */
  #isOut = false;
  #running = false;

  constructor(options: ServiceChecksOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#onEvent = listener(options.onEvent);
    this.#onOutcome = listener(options.onOutcome);
  }

  /** What checks make of the replica; undefined: it is not checked. */
  stateOf(key: string): CheckState | undefined {
    return this.#checks.get(key)?.state;
  }

  /** Begins to probe these replicas. */
  start(replicas: readonly CheckedReplica[]): void {
    this.#running = true;
    this.follow(replicas);
  }

  /** Takes over which replicas there are. Before `start` it does nothing. */
  follow(replicas: readonly CheckedReplica[]): void {
    if (!this.#running) return;
    const keys = new Set(replicas.map(({ key }) => key));
    for (const [key, check] of this.#checks) if (!keys.has(key)) this.#leave(key, check);
    const joined = replicas.filter(({ key }) => !this.#checks.has(key));
    // Without others, and before anybody has passed, waiting would only leave requests without a replica.
    const state = this.#isProven && this.#passing > 0 ? 'waiting' : 'passing';
    for (const replica of joined) this.#join(replica, state, joined.length);
    this.#relieve();
  }

  /** Ends all probes and timers. Replicas stay as they are. */
  stop(): void {
    this.#running = false;
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
    this.#passing = 0;
  }

  #join(replica: CheckedReplica, state: CheckState, joining: number): void {
    const { terms, probe } = this.#options;
    const withinMs = Math.max(FIRST_WITHIN_MS, (joining * 1_000) / MOST_FIRST_PER_SECOND);
    const check = new ReplicaCheck({
      replica,
      terms,
      state,
      firstAfterMs: this.#random() * Math.min(terms.intervalMs, withinMs),
      probe,
      limit: (run) => this.#limit(run),
      isHeeded: this.#isHeeded,
      isUrgent: () => this.#passing === 0,
      onEvent: this.#changed,
      onOutcome: this.#onOutcome,
      clock: this.#clock,
      random: this.#random,
    });
    this.#checks.set(replica.key, check);
    if (state === 'passing') this.#passing += 1;
    else this.#options.letThrough(replica.key, false);
  }

  #leave(key: string, check: ReplicaCheck): void {
    check.stop();
    this.#checks.delete(key);
    if (check.state === 'passing') this.#passing -= 1;
  }

  /** 4xx says that the request is wrong: until some replica has passed, it is the check that is in doubt. */
  readonly #isHeeded = (outcome: ProbeOutcome, replica: CheckedReplica): boolean => {
    if (outcome.kind === 'passed') this.#isProven = true;
    const isRefused = outcome.kind === 'failed' && outcome.why === 'status' && isClientError(outcome.status);
    if (!isRefused || this.#isProven) return true;
    if (!this.#isDoubted) {
      this.#isDoubted = true;
      this.#onEvent({ kind: 'doubted', replica, text: outcome.text });
    }
    return false;
  };

  readonly #changed = (event: CheckEvent): void => {
    if (event.kind === 'changed') {
      const passes = event.to === 'passing';
      this.#passing += passes ? 1 : -1;
      this.#options.letThrough(event.replica.key, passes);
    }
    this.#onEvent(event);
    if (event.kind === 'changed') this.#relieve();
  };

  /** When no replica is left, those that nobody has asked yet are better than none, and the others are asked soon. */
  #relieve(): void {
    if (this.#passing > 0) this.#isOut = false;
    if (this.#passing > 0 || this.#isOut || this.#checks.size === 0) return;
    for (const check of this.#checks.values()) {
      if (!check.isUnknown) continue;
      check.presume();
      this.#passing += 1;
      this.#options.letThrough(check.replica.key, true);
    }
    if (this.#passing > 0) return;
    this.#isOut = true;
    for (const check of this.#checks.values()) check.hurry();
    this.#onEvent({ kind: 'none' });
  }
}

function isClientError(status: number): boolean {
  return 400 <= status && status < 500;
}
