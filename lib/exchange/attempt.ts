import type { Response } from 'express';
import type { TraceContext } from '../tracing/traceContext.ts';

/** One replica: where it listens and how it is named. */
export interface Target {
  /** Host and port, which tell it from the other replicas of its service. */
  readonly key: string;
  /** Its name in logs and metrics. */
  readonly id: string;
  /** Scheme, host and port. */
  readonly url: URL;
}

/**
 * What a failed try says about its replica.
 *
 * `absent`: the replica is not there. The connection was refused, the host cannot be reached, no connection came about in
 * time, or the replica has sent no response to anybody for a whole deadline. No request can cause that.
 *
 * `bad`: the replica is there, and this request failed: a 5xx, a 504, or a response that breaks off. The request itself may
 * be the cause.
 */
export type FailureKind = 'absent' | 'bad';

/** Which calls a replica's breaker lets through now: every call, a single trial call, or none. */
export type Admission = 'all' | 'trial' | 'none';

/** How a try at a replica ended. */
export type Outcome =
  /** The response arrived whole. */
  | { readonly kind: 'completed' }
  /** There was no response, or a broken one. */
  | { readonly kind: 'failed'; readonly failure: FailureKind; readonly error: Error }
  /** The caller left or the gateway shut down. That says nothing about the replica. */
  | { readonly kind: 'abandoned' };

export interface AttemptListener {
  /** The head of the final response has arrived. */
  responded(status: number): void;
  ended(outcome: Outcome): void;
}

/**
 * Whether the replica counts as absent when this try ends without a response at its deadline. `res` belongs to the client
 * that has waited.
 */
export type JudgeAbsence = (attempt: Attempt, res: Response) => boolean;

export interface AttemptOptions {
  /** Whether the request may be sent again although the replica may have received it. Default false. */
  readonly repeatable?: boolean;
  /** When it began, by the clock's `ticks`. Default 0. */
  readonly startedAtMs?: number;
  /** Default: no replica counts as absent. */
  readonly judgeAbsence?: JudgeAbsence;
  /** The try of the same request that was begun before this one. */
  readonly previous?: Attempt | undefined;
}

/** One try to get a response from one replica. It ends once; what is reported after that is ignored. */
export class Attempt {
  readonly target: Target;
  /** Whether the request may be sent again although the replica may have received it. */
  readonly repeatable: boolean;
  /** When it began, by the clock's `ticks`. */
  readonly startedAtMs: number;
  /** The try of the same request that was begun before this one. */
  readonly previous: Attempt | undefined;
  /** Whether any byte of the request may have reached the replica. Written by proxy. */
  sent = false;
  /**
   * Whether the replica has sent no response to anybody for a whole deadline although requests were under way. A try
   * without a response then fails as `absent`. Written by `judge`.
   */
  silent = false;
  /**
   * Whether it began while another try was under way, so that it had only part of the deadline. Written by failover.
   */
  isHedge = false;
  /** Whether another replica has responded to the same request first. Written by `lose`. */
  lost = false;
  /** Whether it has ended without a response, or with a broken one. Written by `end`. */
  failed = false;
  /** The trace context that the replica is sent, when this try has a span of its own. Written by tracing. */
  trace: TraceContext | undefined;
  #ended = false;
  readonly #judgeAbsence: JudgeAbsence;
  #onNoResponse: (error: Error) => void = () => {};
  #onLost: () => void = () => {};
  readonly #listeners: AttemptListener[] = [];

  constructor(
    target: Target,
    { repeatable = false, startedAtMs = 0, judgeAbsence = neverAbsent, previous }: AttemptOptions = {},
  ) {
    this.target = target;
    this.repeatable = repeatable;
    this.startedAtMs = startedAtMs;
    this.#judgeAbsence = judgeAbsence;
    this.previous = previous;
  }

  /** Sets what happens when the replica gives no response: replying with the error, or trying another replica. */
  onNoResponse(decide: (error: Error) => void): void {
    this.#onNoResponse = decide;
  }

  /** The try came to nothing. Calls back whoever called `onNoResponse` last. */
  noResponse(error: Error): void {
    this.#onNoResponse(error);
  }

  /** Sets how the try is aborted when another replica has responded. */
  whenLost(breakOff: () => void): void {
    this.#onLost = breakOff;
  }

  /** Another replica has responded to the same request: aborts this try, unless it has ended. */
  lose(): void {
    if (this.#ended) return;
    this.lost = true;
    this.#onLost();
  }

  /** Decides `silent`. To be called once, before the try ends without the response that its client has waited for. */
  judge(res: Response): void {
    this.silent = this.#judgeAbsence(this, res);
  }

  watch(listener: AttemptListener): void {
    this.#listeners.push(listener);
  }

  responded(status: number): void {
    if (this.#ended) return;
    for (const listener of this.#listeners) listener.responded(status);
  }

  end(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    this.failed = outcome.kind === 'failed';
    for (const listener of this.#listeners) listener.ended(outcome);
  }
}

function neverAbsent(): boolean {
  return false;
}
