import type { Permit } from './permits.ts';

/** What a permit asks of the semaphore that gave it out. `Holder` is how that names who holds it. */
export interface PermitSource<Holder> {
  giveBack(holder: Holder): void;
  /** The new holder, or undefined when that caller has its share already. */
  move(holder: Holder, caller: string, asker: string): Holder | undefined;
}

/** A permit that is out. */
export class HeldPermit<Holder> implements Permit {
  readonly #source: PermitSource<Holder>;
  readonly #asker: string;
  /** Undefined once it was given back. */
  #holder: Holder | undefined;

  constructor(source: PermitSource<Holder>, holder: Holder, asker: string) {
    this.#source = source;
    this.#holder = holder;
    this.#asker = asker;
  }

  release(): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    this.#source.giveBack(holder);
  }

  transfer(caller: string): boolean {
    if (this.#holder === undefined) return true;
    const holder = this.#source.move(this.#holder, caller, this.#asker);
    if (holder === undefined) return false;
    this.#holder = holder;
    return true;
  }
}
