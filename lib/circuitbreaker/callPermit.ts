import type { FailureKind } from '../exchange/attempt.ts';
import type { Permit } from './contract.ts';

/** The breaker that issued a permit, which the permit reports to. */
export interface PermitIssuer {
  succeeded(permit: CallPermit): void;
  failed(permit: CallPermit, failure: FailureKind, responded: boolean): void;
  abandoned(permit: CallPermit, responded: boolean): void;
}

/** One call of one caller, stamped with the generation of the state that allowed it. It fails once at most. */
export class CallPermit implements Permit {
  readonly caller: string;
  /** Where the caller is; `caller` itself when nothing else is known of it. */
  readonly address: string;
  readonly generation: number;
  /** The bucket in which the call was counted as good. Written by the issuer. */
  countedIn: number | undefined;
  readonly #issuer: PermitIssuer;
  #failed = false;

  constructor(issuer: PermitIssuer, generation: number, caller: string, address: string) {
    this.#issuer = issuer;
    this.generation = generation;
    this.caller = caller;
    this.address = address;
  }

  succeed(): void {
    if (this.countedIn === undefined && !this.#failed) this.#issuer.succeeded(this);
  }

  fail(failure: FailureKind, responded = false): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#issuer.failed(this, failure, responded);
  }

  abandon(responded = false): void {
    this.#issuer.abandoned(this, responded);
  }
}
