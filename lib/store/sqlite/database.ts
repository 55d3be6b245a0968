import { DatabaseSync } from 'node:sqlite';
import { asError } from '../../util/asError.ts';
import { StoreUnavailableError } from '../store.ts';
import { makeDirectory } from './makeDirectory.ts';
import { keepToOwner } from './ownFiles.ts';

export const FILE_NAME = 'tokens.db';
/** How long to wait for another process that writes to the same file. */
const BUSY_TIMEOUT_MS = 50;

// FULL instead of NORMAL costs 0.15 ms for each transaction; an acknowledged revocation then survives a power cut too.
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at_ms);
`;

/**
 * Opens `file` in `dataDir`, and makes both where they are missing. Throws an error that names the directory when the file
 * cannot be opened, or not be written.
 */
export function openDatabase(
  dataDir: string,
  file: string,
  onWarning: (message: string) => void,
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeDirectory(dataDir);
    for (const warning of keepToOwner(file)) onWarning(warning);
    database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    database.exec(SCHEMA);
    assertWritable(database);
    // Files that SQLite has made beside it have its mode; files that existed before may have another.
    keepToOwner(file);
    return database;
  } catch (error) {
    if (database?.isOpen) database.close();
    const { message } = asError(error);
    throw new StoreUnavailableError(
      `Cannot keep ${FILE_NAME} in ${dataDir} (${message}). ${advice(message)}`,
      {
        cause: error,
      },
    );
  }
}

/** SQLite also opens a file that is read-only, and fails at the first write. So one is tried at once. */
function assertWritable(database: DatabaseSync): void {
  try {
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
  } catch (error) {
    // Another process is writing at this moment, so the file can be written.
    if (asError(error).message !== 'database is locked') throw error;
  }
}

function advice(message: string): string {
  if (/not a database|malformed/.test(message)) {
    return 'Restore the file from a backup, or move it away: whoever has logged out could be let in again then';
  }
  if (/full/.test(message)) return 'Make room on its disk or set DATA_DIR to another one';
  return 'Make the directory writable or set DATA_DIR to another one';
}

/** Runs one statement. Errors of SQLite (disk full, busy, closed) become `StoreUnavailableError`. */
export function attempt<T>(statement: () => T): T {
  try {
    return statement();
  } catch (error) {
    throw unavailable(error);
  }
}

export function unavailable(error: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`SQLite: ${asError(error).message}`, { cause: error });
}
