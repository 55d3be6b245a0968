/** How many of something each caller holds. Who holds none takes no memory. */
export class Holdings {
  readonly #most: number;
  readonly #counts = new Map<string, number>();
  #total = 0;

  /** @param most how many one caller may hold while others ask */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many callers hold something. */
  get callers(): number {
    return this.#counts.size;
  }

  hasShare(caller: string): boolean {
    // Nobody holds more than all together: far below the limit nobody is looked up.
    if (this.#total < this.#most) return false;
    return (this.#counts.get(caller) ?? 0) >= this.#most;
  }

  add(caller: string): void {
    this.#total += 1;
    this.#counts.set(caller, (this.#counts.get(caller) ?? 0) + 1);
  }

  remove(caller: string): void {
    this.#total -= 1;
    const left = (this.#counts.get(caller) ?? 0) - 1;
    if (left > 0) this.#counts.set(caller, left);
    else this.#counts.delete(caller);
  }
}
