/** The content of one request that is being collected. */
interface Collecting {
  /** Releases its permit and ends with this error. */
  makeRoom(error: Error): void;
}

/** All content that is being collected under one limit, by caller, in the order in which it began. */
export class Collections {
  readonly #byCaller = new Map<string, Set<Collecting>>();

  /** Returns a function that is to be called once, at the end. */
  add(caller: string, content: Collecting): () => void {
    const own = this.#byCaller.get(caller) ?? new Set();
    this.#byCaller.set(caller, own.add(content));
    return () => {
      own.delete(content);
      if (own.size === 0) this.#byCaller.delete(caller);
    };
  }

  /** Ends the oldest one of the caller; whether there was one. */
  endOldest(caller: string, error: Error): boolean {
    const [oldest] = this.#byCaller.get(caller) ?? [];
    oldest?.makeRoom(error);
    return oldest !== undefined;
  }
}
