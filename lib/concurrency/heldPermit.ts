import type { Permit } from './permits.ts';

/** What a permit asks of the semaphore that issued it. `Holder` is how the semaphore names who holds a permit. */
export interface PermitIssuer<Holder> {
  /** Called once for a permit, when it is released. */
  giveBack(holder: Holder): void;
  /** Returns the new holder, or undefined when that caller has its share already. */
  move(holder: Holder, caller: string, asker: string): Holder | undefined;
}

/** A permit that somebody holds. */
export class HeldPermit<Holder> implements Permit {
  readonly #issuer: PermitIssuer<Holder>;
  readonly #asker: string;
  /** Undefined after the release. */
  #holder: Holder | undefined;

  constructor(issuer: PermitIssuer<Holder>, holder: Holder, asker: string) {
    this.#issuer = issuer;
    this.#holder = holder;
    this.#asker = asker;
  }

  release(): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    this.#issuer.giveBack(holder);
  }

  transfer(caller: string): boolean {
    if (this.#holder === undefined) return true;
    const holder = this.#issuer.move(this.#holder, caller, this.#asker);
    if (holder === undefined) return false;
    this.#holder = holder;
    return true;
  }
}
