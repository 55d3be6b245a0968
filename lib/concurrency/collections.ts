/** Content that is on its way. */
interface Collecting {
  /** Gives its permit back and ends with this error. */
  makeRoom(error: Error): void;
}

/** All content that is on its way under one limit, by caller, in the order in which it began. */
export class Collections {
  readonly #byCaller = new Map<string, Set<Collecting>>();

  /** Returns what is to be called when it is no longer on its way. */
  add(caller: string, content: Collecting): () => void {
    const own = this.#byCaller.get(caller) ?? new Set();
    this.#byCaller.set(caller, own.add(content));
    return () => {
      own.delete(content);
      if (own.size === 0 && this.#byCaller.get(caller) === own) this.#byCaller.delete(caller);
    };
  }

  /** Ends what has been on its way for longest; whether there was any. */
  endOldest(caller: string, error: Error): boolean {
    const [oldest] = this.#byCaller.get(caller) ?? [];
    oldest?.makeRoom(error);
    return oldest !== undefined;
  }
}
