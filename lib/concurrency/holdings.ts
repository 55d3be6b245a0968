/** How many of something each caller holds. Who holds none takes no memory. */
export class Holdings {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  /** @param most how many one caller may hold while others ask */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many callers hold something. */
  get callers(): number {
    return this.#counts.size;
  }

  hasShare(caller: string): boolean {
    return (this.#counts.get(caller) ?? 0) >= this.#most;
  }

  add(caller: string): void {
    this.#counts.set(caller, (this.#counts.get(caller) ?? 0) + 1);
  }

  remove(caller: string): void {
    const left = (this.#counts.get(caller) ?? 0) - 1;
    if (left > 0) this.#counts.set(caller, left);
    else this.#counts.delete(caller);
  }
}
