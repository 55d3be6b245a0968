/** A coder's place, which is given back once. */
export interface CoderPlace {
  /** Safe to call twice. */
  release(): void;
}

export interface CoderLimitOptions {
  /** Coders at a time, 0 or more. Each has about 1 MiB, and takes its turns on the threads that Node has for such work. */
  readonly most: number;
  /** The largest share of them that one caller may have, above 0 and up to 1. Default 0.25. */
  readonly mostOfOne?: number;
}

/**
 * Bounds memory and CPU of coders that work at a time. Nobody waits: a response that gets no place is sent uncoded. One caller,
 * who may keep responses open by reading slowly, has a part of the places at most.
 *
 * It is for one thread: several have one each.
 */
export class CoderLimit {
  readonly #most: number;
  readonly #mostOfOne: number;
  /** By caller; without those who have none. */
  readonly #held = new Map<string, number>();
  #all = 0;

  constructor({ most, mostOfOne = 0.25 }: Readonly<CoderLimitOptions>) {
    if (!Number.isInteger(most) || most < 0) {
      throw new RangeError(`compression: most must be a whole number from 0, got ${most}`);
    }
    if (!(mostOfOne > 0 && mostOfOne <= 1)) {
      throw new RangeError(`compression: mostOfOne must be above 0 and at most 1, got ${mostOfOne}`);
    }
    this.#most = most;
    this.#mostOfOne = Math.max(1, Math.floor(most * mostOfOne));
  }

  /** How many places are taken. */
  get held(): number {
    return this.#all;
  }

  get most(): number {
    return this.#most;
  }

  /** Undefined: there is none for `caller`. */
  take(caller: string): CoderPlace | undefined {
    const own = this.#held.get(caller) ?? 0;
    if (this.#all >= this.#most || own >= this.#mostOfOne) return undefined;
    this.#all += 1;
    this.#held.set(caller, own + 1);
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) this.#giveBack(caller);
        isHeld = false;
      },
    };
  }

  #giveBack(caller: string): void {
    const own = this.#held.get(caller) ?? 0;
    this.#all -= 1;
    if (own > 1) this.#held.set(caller, own - 1);
    else this.#held.delete(caller);
  }
}
