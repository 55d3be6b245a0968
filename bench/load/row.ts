/** A queue of at most as many as it begins with. */
export class Row<T> {
  readonly #places: T[];
  #first = 0;
  #length: number;

  constructor(members: readonly T[]) {
    this.#places = [...members];
    this.#length = members.length;
  }

  /** The one that has waited longest. Throws when there is none. */
  take(): T {
    if (this.#length === 0) throw new RangeError('nobody is in the row');
    const taken = this.#places[this.#first] as T;
    this.#first = (this.#first + 1) % this.#places.length;
    this.#length -= 1;
    return taken;
  }

  /** Somebody who was taken comes last. */
  add(member: T): void {
    this.#places[(this.#first + this.#length) % this.#places.length] = member;
    this.#length += 1;
  }
}
