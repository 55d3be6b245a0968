/** Where one is listed. */
export interface Place {
  /** Ends the listing. Safe to call twice. */
  leave(): void;
}

/**
 * Who is here at the moment, the first to come first.
 *
 * A `Set` or `Map` whose members come and go keeps, until V8 collects all of its memory, each table that it has
 * outgrown with all who were in it: whole requests that way, which each collection of young objects then copies.
 */
export class Roster<T> implements Iterable<T> {
  /** Stands before the first and behind the last. */
  readonly #ends = new Listed<T>();

  get oldest(): T | undefined {
    return this.#ends.after?.who;
  }

  enter(who: T): Place {
    return new Listed(who, this.#ends);
  }

  /** Ends the listing of the oldest. */
  dropOldest(): void {
    const { after } = this.#ends;
    if (after !== this.#ends) after?.leave();
  }

  *[Symbol.iterator](): Generator<T> {
    for (let listed = this.#ends.after; listed && listed !== this.#ends; listed = listed.after) {
      yield listed.who as T;
    }
  }
}

/** One of a ring. */
class Listed<T> implements Place {
  who: T | undefined;
  before: Listed<T> | undefined;
  after: Listed<T> | undefined;

  /** Behind all others of the ring that `ends` closes; without it the ring begins here. */
  constructor(who?: T, ends?: Listed<T>) {
    this.who = who;
    this.before = ends?.before ?? this;
    this.after = ends ?? this;
    this.before.after = this;
    this.after.before = this;
  }

  /** It keeps nobody alive, even where it is old itself. */
  leave(): void {
    const { before, after } = this;
    if (!before || !after) return;
    before.after = after;
    after.before = before;
    this.who = undefined;
    this.before = undefined;
    this.after = undefined;
  }
}
