import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Runs one or more statements. */
type Write<T> = () => T;

interface Waiting {
  readonly write: Write<unknown>;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Puts all writes of one turn of the event loop into one transaction, so that they wait for the disk once. Each caller's
 * promise settles after that: either all writes are safe on disk, or none of them is.
 */
export class GroupCommit {
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #database: DatabaseSync;
  readonly #onCommitted: () => void;
  #waiting: Waiting[] = [];

  /** @param onCommitted called after each transaction, before the callers' promises settle */
  constructor(database: DatabaseSync, onCommitted: () => void) {
    this.#database = database;
    this.#onCommitted = onCommitted;
    // IMMEDIATE takes the write lock at once. SQLite does not wait for another process's lock later in a transaction.
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
  }

  /** Resolves to what `write` returns. Rejects with what SQLite throws for any write of the same transaction. */
  run<T>(write: Write<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.flush());
      this.#waiting.push({ write, resolve, reject });
    });
  }

  /** Writes now what would wait for the end of the turn. */
  flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    try {
      const results = this.#transaction(waiting);
      this.#onCommitted();
      for (const [i, { resolve }] of waiting.entries()) resolve(results[i] as never);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  #transaction(waiting: readonly Waiting[]): unknown[] {
    this.#begin.run();
    try {
      const results = waiting.map(({ write }) => write());
      this.#commit.run();
      return results;
    } catch (error) {
      // SQLite may have rolled back itself, for example when the disk is full.
      if (this.#database.isTransaction) this.#rollback.run();
      throw error;
    }
  }
}
