import type { NextFunction, Request, Response } from 'express';
import type { Cancel, Clock } from '../clock/clock.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import type { Place } from '../util/linkedSet.ts';
import type { Deadlines, Waiting } from './deadlines.ts';
import { RequestTimeoutError, UploadStalledError } from './errors.ts';
import { Upload } from './upload.ts';

export interface DeadlineTerms {
  readonly timeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly minUploadRate: number;
  readonly onTimeout: () => void;
  readonly clock: Clock;
  /** The shared timer of all requests that wait for `timeoutMs`, which are nearly all. */
  readonly deadlines: Deadlines;
}

/** Ends one request whose response does not begin in time. */
export class RequestDeadline implements Waiting {
  readonly #terms: DeadlineTerms;
  readonly #res: Response;
  readonly #exchange: Exchange;
  readonly #next: NextFunction;
  readonly #budgetMs: number;
  readonly #upload: Upload | undefined;
  #place: Place | undefined;
  #cancelTimer: Cancel | undefined;
  /** Set by `begin`. */
  sinceMs = Number.NaN;

  /** @param own this request's own time (`timeoutMs` at most), and the `next` that gets the error when it is over */
  constructor(
    terms: DeadlineTerms,
    req: Request,
    res: Response,
    own: { budgetMs: number; next: NextFunction },
  ) {
    this.#terms = terms;
    this.#res = res;
    this.#exchange = exchangeOf(res);
    this.#next = own.next;
    this.#budgetMs = own.budgetMs;
    this.#upload = Upload.of(req, terms.minUploadRate, terms.clock);
  }

  begin(): void {
    this.#wait(this.#budgetMs, this.#terms.clock.ticks());
  }

  onOver(nowMs: number): void {
    if (this.#res.headersSent || this.#exchange.upgraded) return;
    const leftMs = this.#upload ? this.#upload.leftMs(this.#budgetMs, this.#windowMs) : 0;
    if (leftMs > 0) this.#wait(leftMs, nowMs);
    else this.#expire();
  }

  cancel(): void {
    this.#place?.leave();
    this.#cancelTimer?.();
  }

  #wait(ms: number, nowMs: number): void {
    const { clock, timeoutMs, deadlines } = this.#terms;
    this.#exchange.deadlineAtMs = clock.now() + ms;
    this.sinceMs = nowMs;
    if (ms === timeoutMs) this.#place = deadlines.enter(this);
    else this.#cancelTimer = clock.after(ms, () => this.onOver(clock.ticks()));
  }

  /** A caller's shorter deadline also shortens the upload window. */
  get #windowMs(): number {
    return this.#budgetMs < this.#terms.timeoutMs ? this.#budgetMs : this.#terms.bodyTimeoutMs;
  }

  #expire(): void {
    const isStalled = this.#upload?.awaitsClient === true;
    const error = isStalled
      ? new UploadStalledError(this.#windowMs)
      : new RequestTimeoutError(this.#budgetMs, this.#budgetMs < this.#terms.timeoutMs);
    if (!isStalled) this.#terms.onTimeout();
    this.#exchange.abort(error, 'settled');
    this.#next(error);
  }
}
