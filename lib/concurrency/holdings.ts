/** How much one caller holds of something. */
export interface Holding {
  readonly caller: string;
  count: number;
}

/** Callers that hold nothing and are remembered all the same, beside as many as hold something. */
const SPARE = 64;

/**
 * How many of something each caller holds.
 *
 * Who comes back finds its holding again: a `Map` whose members come and go with each request leaves outgrown tables
 * behind, and each keeps the next alive (`LinkedSet` says more). Those who hold nothing are forgotten together.
 */
export class Holdings {
  readonly #most: number;
  #byCaller = new Map<string, Holding>();
  /** How many callers hold something. */
  #holding = 0;

  /** @param most how many one caller may hold while others ask */
  constructor(most: number) {
    this.#most = most;
  }

  /** Callers that are remembered: at most 64 more than twice those who hold something. */
  get callers(): number {
    return this.#byCaller.size;
  }

  /** Good until another caller is asked for, or for as long as something is held by it. */
  of(caller: string): Holding {
    const known = this.#byCaller.get(caller);
    if (known) return known;
    if (this.#byCaller.size >= 2 * this.#holding + SPARE) this.#forget();
    const holding = { caller, count: 0 };
    this.#byCaller.set(caller, holding);
    return holding;
  }

  hasShare({ count }: Holding): boolean {
    return count >= this.#most;
  }

  add(holding: Holding): void {
    if (holding.count === 0) this.#holding += 1;
    holding.count += 1;
  }

  remove(holding: Holding): void {
    holding.count -= 1;
    if (holding.count === 0) this.#holding -= 1;
  }

  #forget(): void {
    const held = [...this.#byCaller.values()].filter(({ count }) => count > 0);
    this.#byCaller = new Map(held.map((holding) => [holding.caller, holding]));
  }
}
