import type { ServerResponse } from 'node:http';
import type { Admission } from '../exchange/exchange.ts';
import type { Deadlines, Waiting } from '../timeout/deadlines.ts';
import type { Place } from '../util/linkedSet.ts';
import { ConcurrencyLimitError } from './errors.ts';
import type { LimitPair, PermitPair } from './limitPair.ts';

/** Whom an admission tells what becomes of it. */
export interface AdmissionListener {
  /** A stream found no room, or another caller has its share. */
  onLimitReached(): void;
  /** It gave back what it held as a request. */
  onBecameStream(): void;
}

/** The limits of open streams, and who tells when a response becomes one. */
export interface StreamTerms {
  readonly limits: LimitPair;
  readonly longResponses: Deadlines;
}

export interface AdmissionTerms {
  /** Without them a stream stays a request. */
  readonly streams: StreamTerms | undefined;
  readonly listener: AdmissionListener;
}

/** What a request that was admitted holds: permits for requests, or for streams once its response is one. */
export class RequestAdmission implements Admission, Waiting {
  readonly #res: ServerResponse;
  readonly #streams: StreamTerms | undefined;
  readonly #listener: AdmissionListener;
  #permits: PermitPair;
  #caller: string;
  #isStream = false;
  #isOver = false;
  #place: Place | undefined;
  sinceMs = 0;

  constructor(
    permits: PermitPair,
    caller: string,
    res: ServerResponse,
    { streams, listener }: AdmissionTerms,
  ) {
    this.#permits = permits;
    this.#caller = caller;
    this.#res = res;
    this.#streams = streams;
    this.#listener = listener;
  }

  /** Sees to it that a long response becomes a stream. */
  watch(nowMs: number): void {
    this.sinceMs = nowMs;
    this.#place = this.#streams?.longResponses.enter(this);
  }

  /** A response that has not begun, or finds no room among the streams, is looked at again. */
  onOver(nowMs: number): void {
    if (!this.#res.headersSent || this.#tryStream()) this.watch(nowMs);
  }

  countFor(caller: string): ConcurrencyLimitError | undefined {
    if (this.#isOver) return undefined;
    const refusal = this.#permits.transfer(caller);
    if (refusal) this.#listener.onLimitReached();
    else this.#caller = caller;
    return refusal;
  }

  becomeStream(): ConcurrencyLimitError | undefined {
    const refusal = this.#tryStream();
    if (refusal) this.#listener.onLimitReached();
    return refusal;
  }

  /** The same for a response that goes on as a request where there is no room: nothing was refused to its client. */
  #tryStream(): ConcurrencyLimitError | undefined {
    if (this.#isStream || this.#isOver || !this.#streams) return undefined;
    const given = this.#streams.limits.enterNow(this.#caller, this.#caller);
    if (given instanceof ConcurrencyLimitError) return given;
    this.#isStream = true;
    this.#permits.release();
    this.#permits = given;
    this.#listener.onBecameStream();
    return undefined;
  }

  /** Gives everything back. Safe to call twice. */
  release(): void {
    this.#isOver = true;
    this.#place?.leave();
    this.#permits.release();
  }
}
