import { type Clock, systemClock } from '../clock/clock.ts';
import type { Share } from '../threads/cells.ts';
import { listener } from '../util/listener.ts';
import { Channels } from './channels.ts';
import { MemoryStore } from './memory/memory.ts';
import { type ResponseLink, ThreadsMemoryStore } from './memory/threadsMemory.ts';
import { SqliteStore } from './sqlite/sqlite.ts';
import type { Stores } from './store.ts';

const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** More is of no use, since the values of tokens are short. */
const MOST_REMEMBERED_BYTES = 16 * 1024 * 1024;

/** What the threads of one process share when each of them opens the store. */
export interface StoreThreads {
  /** Shared memory of the size `CHANGES`. */
  readonly tokenChanges: Share;
  readonly responses: ResponseLink;
}

export interface EmbeddedStoreOptions {
  /** Directory for tokens and revocations. Created when it is missing. */
  readonly dataDir: string;
  /** Memory for cached responses, in bytes. Default 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Memory for values of tokens that were read, in bytes, up to 16 MiB. Default 16 MiB. */
  readonly maxRememberedBytes?: number;
  /** Called with errors in the background: a subscriber that threw, a purge that failed. */
  readonly onError?: (error: Error) => void;
  /** Called with what the operator should correct: that others may read the files. */
  readonly onWarning?: (message: string) => void;
  readonly clock?: Clock;
  /** Default: this is the only thread. */
  readonly threads?: StoreThreads | undefined;
}

/**
 * Shared state for a gateway that runs alone: tokens in a SQLite file, responses in memory, messages within
 * this process. Throws `StoreUnavailableError` naming the directory when that cannot be written.
 */
export function openEmbeddedStore({
  dataDir,
  maxResponseBytes = DEFAULT_MAX_RESPONSE_BYTES,
  maxRememberedBytes = MOST_REMEMBERED_BYTES,
  onError,
  onWarning,
  clock = systemClock,
  threads,
}: Readonly<EmbeddedStoreOptions>): Stores {
  const report = listener(onError);
  const channels = new Channels(report);
  const tokens = new SqliteStore({
    dataDir,
    maxRememberedBytes: Math.min(maxRememberedBytes, MOST_REMEMBERED_BYTES),
    channels,
    clock,
    onError: report,
    onWarning: listener(onWarning, report),
    changes: threads?.tokenChanges,
  });
  const memory = new MemoryStore({ maxBytes: maxResponseBytes, channels, clock });
  let open = true;
  return {
    tokens,
    responses: threads ? new ThreadsMemoryStore(memory, threads.responses) : memory,
    evaluate: undefined,
    settled: Promise.resolve(),
    trouble: async () => (open ? tokens.trouble() : 'the store is closed'),
    degraded: async () => undefined,
    nodes: async () => [],
    eviction: async () => undefined,
    close: async () => {
      open = false;
      tokens.close();
      memory.close();
    },
  };
}
