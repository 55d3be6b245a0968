import type { Cancel } from '../clock/clock.ts';
import type { Admission } from '../exchange/exchange.ts';
import { ConcurrencyLimitError } from './errors.ts';
import type { LimitPair, PermitPair } from './limitPair.ts';

/** Whom an admission tells what becomes of it. */
export interface AdmissionListener {
  /** A stream found no room, or another caller has its share. */
  onLimitReached(): void;
  /** It gave back what it held as a request. */
  onBecameStream(): void;
}

/** What a request that was admitted holds: permits for requests, or for streams once its response is one. */
export class RequestAdmission implements Admission {
  readonly #streams: LimitPair | undefined;
  readonly #listener: AdmissionListener;
  #permits: PermitPair;
  #caller: string;
  #isStream = false;
  #isOver = false;
  /** Ends what looks after it for as long as it holds something. Written by whoever does. */
  endWatch: Cancel | undefined;

  /** @param streams the limits of open streams; without them a stream stays a request */
  constructor(
    permits: PermitPair,
    caller: string,
    streams: LimitPair | undefined,
    listener: AdmissionListener,
  ) {
    this.#permits = permits;
    this.#caller = caller;
    this.#streams = streams;
    this.#listener = listener;
  }

  countFor(caller: string): ConcurrencyLimitError | undefined {
    if (this.#isOver) return undefined;
    const refusal = this.#permits.transfer(caller);
    if (refusal) this.#listener.onLimitReached();
    else this.#caller = caller;
    return refusal;
  }

  becomeStream(): ConcurrencyLimitError | undefined {
    const refusal = this.tryStream();
    if (refusal) this.#listener.onLimitReached();
    return refusal;
  }

  /** The same for a response that goes on as a request where there is no room: nothing was refused to its client. */
  tryStream(): ConcurrencyLimitError | undefined {
    if (this.#isStream || this.#isOver || !this.#streams) return undefined;
    const given = this.#streams.enterNow(this.#caller, this.#caller);
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
    this.endWatch?.();
    this.#permits.release();
  }
}
