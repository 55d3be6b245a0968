import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Cancel, Clock } from '../../clock/clock.ts';
import type { Attempt, AttemptListener } from '../../exchange/attempt.ts';
import { type Elsewhere, type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import type { Waiting } from '../../timeout/deadlines.ts';
import type { Place } from '../../util/linkedSet.ts';
import type { Hedging } from './hedging.ts';

export interface RaceTerms {
  /** Undefined: no request is sent to a second replica while the first has it. */
  readonly hedging: Hedging | undefined;
  /** Makes one try at one replica. */
  readonly attempt: RequestHandler;
  /** Whether the error says that the replica gave no response. */
  readonly gotNoResponse: (error: unknown) => boolean;
  /** Whether a replica that was not tried would take the request now. */
  readonly hasAnother: (exchange: Exchange) => boolean;
  /** Makes a second try in place of `failed`, where that is allowed; whether it did. */
  readonly failOver: (req: Request, res: Response, next: NextFunction, error: unknown) => boolean;
  readonly onHedged: (first: Attempt, second: Attempt) => void;
  /** The second replica responded first. */
  readonly onHedgeWon: (second: Attempt) => void;
  readonly clock: Clock;
}

/**
 * One request that is sent to a second replica as well when the first is silent. The first response wins, and the other
 * try is broken off (`exchange.respondedBy`). An error counts once no try is left.
 */
export class Race implements Waiting, AttemptListener, Elsewhere {
  readonly #terms: RaceTerms;
  readonly #req: Request;
  readonly #res: Response;
  readonly #next: NextFunction;
  readonly #exchange: Exchange;
  #first: Attempt | undefined;
  #second: Attempt | undefined;
  /** How the first try failed, if the second was under way then. */
  #firstError: unknown;
  #isFirstOver = false;
  /** How the second try failed, if the first was under way then. */
  #secondError: unknown;
  /** When the first try began. */
  sinceMs = 0;
  #place: Place | undefined;
  #cancelLook: Cancel | undefined;

  constructor(terms: RaceTerms, req: Request, res: Response, next: NextFunction) {
    this.#terms = terms;
    this.#req = req;
    this.#res = res;
    this.#next = next;
    this.#exchange = exchangeOf(res);
  }

  begin(): void {
    const { attempt, hedging } = this.#terms;
    this.#exchange.elsewhere = this;
    attempt(this.#req, this.#res, (error?: unknown) => this.#firstFailed(error));
    const first = this.#exchange.attempt;
    if (this.#isFirstOver || !first) return;
    this.#first = first;
    this.sinceMs = first.startedAtMs;
    first.watch(this);
    this.#place = hedging?.enter(this);
  }

  /** The first try has its response. */
  responded(): void {
    this.#stopLooking();
    this.#tellLatency(this.#first as Attempt);
  }

  /** The first try is over. */
  ended(): void {
    this.#stopLooking();
  }

  isThere(): boolean {
    return !this.#isFirstOver && !this.#exchange.hedge && this.#terms.hasAnother(this.#exchange);
  }

  /** The first try has lost its kept connection. That is no replica's fault, so the second costs no budget. */
  go(): void {
    this.#isFirstOver = true;
    this.#terms.attempt(this.#req, this.#res, this.#next);
  }

  /** It has waited for half of its deadline. */
  onOver(): void {
    const { abortReason, maySend, deadlineAtMs = Number.POSITIVE_INFINITY } = this.#exchange;
    if (abortReason || !maySend) return;
    const { clock, hedging } = this.#terms;
    const leftMs = deadlineAtMs - clock.now();
    const delayMs = hedging?.delayMs(this.#first as Attempt, leftMs) ?? Number.POSITIVE_INFINITY;
    if (delayMs === 0) this.#hedge(this.#first as Attempt);
    else if (delayMs < leftMs) this.#cancelLook = clock.after(delayMs, () => this.onOver());
  }

  #hedge(first: Attempt): void {
    const exchange = this.#exchange;
    this.#terms.attempt(this.#req, this.#res, (error?: unknown) => this.#secondFailed(error));
    const second = exchange.attempt;
    exchange.attempt = first;
    // The balancer or the breaker may have refused it at once.
    if (second === first || !second || this.#secondError !== undefined) return;
    this.#second = second;
    exchange.hedge = second;
    second.isHedge = true;
    second.watch({
      responded: () => {
        this.#tellLatency(second);
        this.#terms.onHedgeWon(second);
      },
      ended: () => {},
    });
    this.#terms.onHedged(first, second);
  }

  #firstFailed(error: unknown): void {
    const exchange = this.#exchange;
    this.#isFirstOver = true;
    if (exchange.hedge) {
      this.#firstError = error;
      exchange.attempt = exchange.hedge;
      exchange.hedge = undefined;
    } else if (this.#second?.sent) {
      this.#fail(error, this.#secondError);
    } else if (!this.#terms.failOver(this.#req, this.#res, this.#next, error)) {
      this.#next(error);
    }
  }

  #secondFailed(error: unknown): void {
    this.#exchange.hedge = undefined;
    if (!this.#isFirstOver) this.#secondError = error;
    else if (!this.#terms.failOver(this.#req, this.#res, this.#next, error))
      this.#fail(this.#firstError, error);
  }

  /** Neither replica responded. A broken response says more than none. */
  #fail(firstError: unknown, secondError: unknown): void {
    const { gotNoResponse } = this.#terms;
    const saysMore = gotNoResponse(firstError) && this.#second?.sent === true && !gotNoResponse(secondError);
    this.#exchange.attempt = saysMore ? this.#second : this.#first;
    this.#next(saysMore ? secondError : firstError);
  }

  #tellLatency({ startedAtMs }: Attempt): void {
    const { clock, hedging } = this.#terms;
    hedging?.responded(clock.ticks() - startedAtMs);
  }

  #stopLooking(): void {
    this.#place?.leave();
    this.#cancelLook?.();
  }
}
