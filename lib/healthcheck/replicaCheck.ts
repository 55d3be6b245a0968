import type { Cancel, Clock } from '../clock/clock.ts';
import { asError } from '../util/asError.ts';
import type { CheckEvent, CheckedReplica, CheckState, HealthTerms, ProbeOutcome } from './contract.ts';
import type { Probe, Prober } from './probe.ts';

/** How much earlier or later than its interval a probe may be, as part of it: so that gateways do not probe in step. */
const JITTER = 0.1;
/** While requests wait for a replica to become healthy, it is probed at least so often. */
const URGENT_MS = 1_000;

export interface ReplicaCheckOptions {
  readonly replica: CheckedReplica;
  readonly terms: Pick<HealthTerms, 'intervalMs' | 'healthyAfter' | 'unhealthyAfter'>;
  readonly state: CheckState;
  /** When the first probe begins, in milliseconds from now. */
  readonly firstAfterMs: number;
  readonly probe: Prober;
  /** Runs a probe once there is room for it. */
  readonly limit: (run: () => Promise<void>) => Promise<void>;
  /** Whether the outcome says something of the replica, and not of the check. */
  readonly isHeeded: (outcome: ProbeOutcome, replica: CheckedReplica) => boolean;
  /** Whether no replica of the service gets requests. */
  readonly isUrgent: () => boolean;
  readonly onEvent: (event: CheckEvent) => void;
  readonly onOutcome: (outcome: ProbeOutcome) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Probes one replica again and again, one probe at a time, and says whether it should get requests. */
export class ReplicaCheck {
  readonly replica: CheckedReplica;
  readonly #options: ReplicaCheckOptions;
  #state: CheckState;
  /** Latest probes in a row that speak against the state. */
  #against = 0;
  #hasFailed = false;
  #cancelTimer: Cancel | undefined;
  /** Whether a probe is under way or waits for room. */
  #isAsking = false;
  #probe: Probe | undefined;
  #stopped = false;

  constructor(options: ReplicaCheckOptions) {
    this.replica = options.replica;
    this.#options = options;
    this.#state = options.state;
    this.#probeIn(options.firstAfterMs);
  }

  get state(): CheckState {
    return this.#state;
  }

  /** Whether it waits for its first probe. */
  get isUnknown(): boolean {
    return this.#state === 'waiting' && !this.#hasFailed;
  }

  /** Lets a replica that waits have requests without having passed. */
  presume(): void {
    this.#state = 'passing';
  }

  /** Brings the next probe forward, as requests wait for it. */
  hurry(): void {
    if (!this.#isAsking && !this.#stopped) this.#probeIn(this.#pauseMs);
  }

  /** Ends everything: no timer and no connection is left, and nothing is reported any more. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#probe?.cancel();
  }

  get #pauseMs(): number {
    const { terms, isUrgent, random } = this.#options;
    const hurries = this.#state === 'waiting' || (this.#state === 'failing' && isUrgent());
    const pauseMs = hurries ? Math.min(terms.intervalMs, URGENT_MS) : terms.intervalMs;
    return pauseMs * (1 + JITTER * (2 * random() - 1));
  }

  #probeIn(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#stopped) return;
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.#isAsking = true;
      void this.#options.limit(this.#ask);
    });
  }

  readonly #ask = async (): Promise<void> => {
    if (this.#stopped) return;
    const outcome = await this.#outcome();
    this.#probe = undefined;
    // The replica has left meanwhile.
    if (this.#stopped) return;
    this.#isAsking = false;
    this.#options.onOutcome(outcome);
    if (outcome.kind !== 'unknown' && this.#options.isHeeded(outcome, this.replica)) this.#judge(outcome);
    this.#probeIn(this.#pauseMs);
  };

  /** Never rejects: what cannot be asked must not end the checks. */
  async #outcome(): Promise<ProbeOutcome> {
    try {
      this.#probe = this.#options.probe(this.replica.url);
      return await this.#probe.outcome;
    } catch (error) {
      return { kind: 'unknown', text: asError(error).message };
    }
  }

  #judge(outcome: Exclude<ProbeOutcome, { kind: 'unknown' }>): void {
    const passed = outcome.kind === 'passed';
    if (passed === (this.#state === 'passing')) {
      this.#against = 0;
      if (!passed) this.#sayWaits(outcome.text);
      return;
    }
    this.#against += 1;
    if (this.#against >= this.#needed(passed)) this.#change(passed ? 'passing' : 'failing', outcome);
  }

  /** A replica that has never passed shows by one probe that it has started. */
  #needed(passed: boolean): number {
    const { healthyAfter, unhealthyAfter } = this.#options.terms;
    if (!passed) return unhealthyAfter;
    return this.#state === 'waiting' ? 1 : healthyAfter;
  }

  #sayWaits(text: string): void {
    if (this.#state !== 'waiting' || this.#hasFailed) return;
    this.#hasFailed = true;
    this.#options.onEvent({ kind: 'waits', replica: this.replica, text });
  }

  #change(to: 'passing' | 'failing', outcome: Exclude<ProbeOutcome, { kind: 'unknown' }>): void {
    const [from, count] = [this.#state, this.#against];
    this.#state = to;
    this.#against = 0;
    const text = outcome.kind === 'passed' ? `status ${outcome.status}` : outcome.text;
    this.#options.onEvent({ kind: 'changed', replica: this.replica, from, to, count, text });
  }
}
