/** One member's entry in a `LinkedSet`. */
export interface Place {
  /** Removes the member. Safe to call twice. */
  leave(): void;
}

/**
 * The members of the moment, in the order in which they entered.
 *
 * A `Set` or `Map` whose members come and go keeps each table that it has outgrown, with all members in it, until V8
 * collects the old generation. Here the members are whole requests, which every collection of the young generation would
 * copy again.
 */
export class LinkedSet<T> implements Iterable<T> {
  /** Stands before the first member and behind the last. */
  readonly #ends = new Entry<T>();

  get oldest(): T | undefined {
    return this.#ends.after?.member;
  }

  enter(member: T): Place {
    return new Entry(member, this.#ends);
  }

  /** Removes the member that entered first. */
  dropOldest(): void {
    const { after } = this.#ends;
    if (after !== this.#ends) after?.leave();
  }

  *[Symbol.iterator](): Generator<T> {
    for (let entry = this.#ends.after; entry && entry !== this.#ends; entry = entry.after) {
      yield entry.member as T;
    }
  }
}

/** A link of the ring. */
class Entry<T> implements Place {
  member: T | undefined;
  before: Entry<T> | undefined;
  after: Entry<T> | undefined;

  /** Enters behind all others of the ring that `ends` closes; without `ends` a new ring begins. */
  constructor(member?: T, ends?: Entry<T>) {
    this.member = member;
    this.before = ends?.before ?? this;
    this.after = ends ?? this;
    this.before.after = this;
    this.after.before = this;
  }

  /** Clears its own references too: an entry that V8 still holds must keep no other entry and no member alive. */
  leave(): void {
    const { before, after } = this;
    if (!before || !after) return;
    before.after = after;
    after.before = before;
    this.member = undefined;
    this.before = undefined;
    this.after = undefined;
  }
}
