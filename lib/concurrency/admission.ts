import type { ServerResponse } from 'node:http';
import type { Admission } from '../exchange/exchange.ts';
import type { Deadlines, Waiting } from '../timeout/deadlines.ts';
import type { Place } from '../util/linkedSet.ts';
import { ConcurrencyLimitError } from './errors.ts';
import type { LimitPair, PermitPair } from './limitPair.ts';

/** What all requests of one middleware have in common. */
export interface AdmissionTerms {
  /** The limits of open streams, and what tells that a response lasts long. Undefined: a stream stays a request. */
  readonly streams: { readonly limits: LimitPair; readonly longResponses: Deadlines } | undefined;
  /** Called when there is no permit for a stream, or when the verified caller has its share already. */
  readonly onLimitReached: () => void;
  /** Called when a request has released its permits because it became a stream. */
  readonly onBecameStream: () => void;
}

/** The permits of an admitted request: permits for requests, or for streams once its response is one. */
export class RequestAdmission implements Admission, Waiting {
  readonly #res: ServerResponse;
  readonly #terms: AdmissionTerms;
  #permits: PermitPair;
  #caller: string;
  #isStream = false;
  #isOver = false;
  #place: Place | undefined;
  /** Set by `watch`. */
  sinceMs = Number.NaN;

  constructor(permits: PermitPair, caller: string, res: ServerResponse, terms: AdmissionTerms) {
    this.#permits = permits;
    this.#caller = caller;
    this.#res = res;
    this.#terms = terms;
  }

  /** Makes the response a stream once it has lasted long enough, counted from now. */
  watch(nowMs: number): void {
    this.sinceMs = nowMs;
    this.#place = this.#terms.streams?.longResponses.enter(this);
  }

  /** A response that has not begun, or for which there is no stream permit, is looked at again later. */
  onOver(nowMs: number): void {
    if (!this.#res.headersSent || this.#tryStream()) this.watch(nowMs);
  }

  countFor(caller: string): ConcurrencyLimitError | undefined {
    if (this.#isOver) return undefined;
    const refusal = this.#permits.transfer(caller);
    if (refusal) this.#terms.onLimitReached();
    else this.#caller = caller;
    return refusal;
  }

  becomeStream(): ConcurrencyLimitError | undefined {
    const refusal = this.#tryStream();
    if (refusal) this.#terms.onLimitReached();
    return refusal;
  }

  /** The same without telling the listener: without a permit the response goes on as a request. */
  #tryStream(): ConcurrencyLimitError | undefined {
    const { streams } = this.#terms;
    if (this.#isStream || this.#isOver || !streams) return undefined;
    const given = streams.limits.enterNow(this.#caller, this.#caller);
    if (given instanceof ConcurrencyLimitError) return given;
    this.#isStream = true;
    this.#permits.release();
    this.#permits = given;
    this.#terms.onBecameStream();
    return undefined;
  }

  /** Releases the permits. Safe to call twice. */
  release(): void {
    this.#isOver = true;
    this.#place?.leave();
    this.#permits.release();
  }
}
