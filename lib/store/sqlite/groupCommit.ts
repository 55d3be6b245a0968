import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Runs one or more statements. */
type Write<T> = () => T;

interface Waiting {
  readonly write: Write<unknown>;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes what was asked for in one turn of the event loop in one transaction: the disk is waited for once, however many
 * wait for it. Each caller hears of its own write once all of them are safe, or that none of them is.
 */
export class GroupCommit {
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #database: DatabaseSync;
  readonly #onCommitted: () => void;
  #waiting: Waiting[] = [];

  /** @param onCommitted called after each transaction, before those who wait for it are told */
  constructor(database: DatabaseSync, onCommitted: () => void) {
    this.#database = database;
    this.#onCommitted = onCommitted;
    // The lock for writing at once: a transaction that asks for it later may not wait for another process.
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
  }

  /** Resolves to what `write` returns. Rejects with what SQLite throws, at any write of the transaction. */
  run<T>(write: Write<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.flush());
      this.#waiting.push({ write, resolve, reject });
    });
  }

  /** Writes at once what waits for the end of the turn. */
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
      // SQLite may have done so itself, as when the disk is full.
      if (this.#database.isTransaction) this.#rollback.run();
      throw error;
    }
  }
}
