/** Callers that hold nothing and are remembered nevertheless, in addition to as many as hold something. */
const SPARE = 64;

/** How many of something one caller holds. */
export class Holding {
  readonly caller: string;
  readonly #all: Holdings;
  #count = 0;

  constructor(caller: string, all: Holdings) {
    this.caller = caller;
    this.#all = all;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether the caller holds its fair share, or more. */
  get hasShare(): boolean {
    return this.#count >= this.#all.share;
  }

  add(): void {
    if (this.#count === 0) this.#all.holders += 1;
    this.#count += 1;
  }

  remove(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#all.holders -= 1;
  }
}

/**
 * How many of something each caller holds.
 *
 * A caller that comes back finds its holding again, because a `Map` whose members change with each request leaves many
 * outgrown tables to the garbage collector. Callers that hold nothing are forgotten together.
 */
export class Holdings {
  /** How many one caller may hold while others ask. */
  readonly share: number;
  /** How many callers hold something. Written by their holdings. */
  holders = 0;
  #byCaller = new Map<string, Holding>();

  constructor(share: number) {
    this.share = share;
  }

  /** Callers that are remembered: at most 64 more than twice those that hold something. */
  get callers(): number {
    return this.#byCaller.size;
  }

  /** Valid until another caller is asked for, or for as long as the caller holds something. */
  of(caller: string): Holding {
    const known = this.#byCaller.get(caller);
    if (known) return known;
    if (this.#byCaller.size >= 2 * this.holders + SPARE) this.#forget();
    const holding = new Holding(caller, this);
    this.#byCaller.set(caller, holding);
    return holding;
  }

  #forget(): void {
    const held = [...this.#byCaller].filter(([, holding]) => !holding.isEmpty);
    this.#byCaller = new Map(held);
  }
}
