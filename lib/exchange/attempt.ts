import type { Response } from 'express';
import type { TraceContext } from '../tracing/traceContext.ts';

/** Where one replica listens and how it is called. */
export interface Target {
  /** What tells it from the other replicas of its service: its host and port. */
  readonly key: string;
  /** What logs and metrics call it. */
  readonly id: string;
  /** Scheme, host and port. */
  readonly url: URL;
}

/**
 * What a failed try says about its replica. `absent`: nobody is there (refused, unreachable, no connection in time, or
 * silent towards everybody for a whole deadline), which no request can bring about. `bad`: it is there, and this
 * request fared badly (5xx, 504, a response that breaks off), which a request may well bring about.
 */
export type FailureKind = 'absent' | 'bad';

/** What a replica's breaker lets through now: every call, one call that is its trial, or none. */
export type Admission = 'all' | 'trial' | 'none';

/** How a try at a replica ended. */
export type Outcome =
  /** The answer arrived whole. */
  | { readonly kind: 'completed' }
  /** No answer, or a broken one. */
  | { readonly kind: 'failed'; readonly failure: FailureKind; readonly error: Error }
  /** The caller left or the gateway shut down: says nothing about the replica. */
  | { readonly kind: 'abandoned' };

export interface AttemptListener {
  /** The head of the final answer has arrived. */
  answered?(status: number): void;
  ended(outcome: Outcome): void;
}

/**
 * Whether the replica is absent that leaves a try without a response now, for which its client has waited: `res` says
 * who that is.
 */
export type JudgeAbsence = (attempt: Attempt, res: Response) => boolean;

export interface AttemptOptions {
  /** Whether the request may be made once more even if the replica may have got it. Default false. */
  readonly repeatable?: boolean;
  /** When it began, by the clock's `ticks`. Default 0. */
  readonly startedAtMs?: number;
  /** Default: no replica is absent. */
  readonly judgeAbsence?: JudgeAbsence;
  /** The try of the same request that was begun before this one. */
  readonly previous?: Attempt | undefined;
}

/** One try at one replica. It ends once; what is reported after that is dropped. */
export class Attempt {
  readonly target: Target;
  /** Whether the request may be made once more even if the replica may have got it. */
  readonly repeatable: boolean;
  /** When it began, by the clock's `ticks`. */
  readonly startedAtMs: number;
  /** The try of the same request that was begun before this one. */
  readonly previous: Attempt | undefined;
  /** Whether any byte of the request may have reached the replica. */
  sent = false;
  /**
   * Whether the replica owes responses and has given none to anybody for a whole deadline: then a try that gets none
   * either fails as `absent`. Written by `judge`.
   */
  silent = false;
  /** Whether it began while another try was under way, and so had a part of the deadline only. Written by failover. */
  isHedge = false;
  /** Whether another replica has responded to the same request first. Written by `lose`. */
  lost = false;
  /** What the replica is told of the trace, when this try has a span of its own. Written by its recorder. */
  trace: TraceContext | undefined;
  #ended = false;
  readonly #judgeAbsence: JudgeAbsence;
  #onUnanswered: (error: Error) => void = () => {};
  #onLost: () => void = () => {};
  readonly #listeners: AttemptListener[] = [];

  constructor(
    target: Target,
    { repeatable = false, startedAtMs = 0, judgeAbsence = nobodyIsAbsent, previous }: AttemptOptions = {},
  ) {
    this.target = target;
    this.repeatable = repeatable;
    this.startedAtMs = startedAtMs;
    this.#judgeAbsence = judgeAbsence;
    this.previous = previous;
  }

  /** Sets who decides what happens when the replica gave no answer: reply with the error, or try another. */
  whenUnanswered(decide: (error: Error) => void): void {
    this.#onUnanswered = decide;
  }

  unanswered(error: Error): void {
    this.#onUnanswered(error);
  }

  /** Sets how the try is broken off when another replica has responded. */
  whenLost(breakOff: () => void): void {
    this.#onLost = breakOff;
  }

  /** Another replica has responded to the same request: breaks the try off, unless it has ended. */
  lose(): void {
    if (this.#ended) return;
    this.lost = true;
    this.#onLost();
  }

  /** Settles `silent`. To be called once, before a try ends without the response that its client has waited for. */
  judge(res: Response): void {
    this.silent = this.#judgeAbsence(this, res);
  }

  watch(listener: AttemptListener): void {
    this.#listeners.push(listener);
  }

  answered(status: number): void {
    if (this.#ended) return;
    for (const listener of this.#listeners) listener.answered?.(status);
  }

  end(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const listener of this.#listeners) listener.ended(outcome);
  }
}

function nobodyIsAbsent(): boolean {
  return false;
}
