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
  #first: Listed<T> | undefined;
  #last: Listed<T> | undefined;

  get oldest(): T | undefined {
    return this.#first?.who;
  }

  enter(who: T): Place {
    const listed: Listed<T> = {
      who,
      before: this.#last,
      after: undefined,
      leave: () => this.#strike(listed),
    };
    if (this.#last) this.#last.after = listed;
    else this.#first = listed;
    this.#last = listed;
    return listed;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let listed = this.#first; listed; listed = listed.after) yield listed.who as T;
  }

  /** It keeps nobody alive, even where it is old itself. */
  #strike(listed: Listed<T>): void {
    const { who, before, after } = listed;
    if (who === undefined) return;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
    listed.who = undefined;
    listed.before = undefined;
    listed.after = undefined;
  }
}

interface Listed<T> extends Place {
  who: T | undefined;
  before: Listed<T> | undefined;
  after: Listed<T> | undefined;
}
