import { type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import { Channels } from './channels.ts';
import { MemoryStore } from './memory.ts';
import { SqliteStore } from './sqlite.ts';
import type { Stores } from './store.ts';

const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

export interface EmbeddedStoreOptions {
  /** Directory for tokens and revocations. Created when it is missing. */
  readonly dataDir: string;
  /** Memory for cached responses, in bytes. Default 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Gets what goes wrong in the background: a subscriber that threw, a purge that failed. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * Shared state for a gateway that runs alone: tokens in a SQLite file, responses in memory, messages within
 * this process. Throws `StoreUnavailableError` naming the directory when that cannot be written.
 */
export function openEmbeddedStore({
  dataDir,
  maxResponseBytes = DEFAULT_MAX_RESPONSE_BYTES,
  onError,
  clock = systemClock,
}: Readonly<EmbeddedStoreOptions>): Stores {
  const report = listener(onError);
  const channels = new Channels(report);
  const tokens = new SqliteStore({ dataDir, channels, clock, onError: report });
  const responses = new MemoryStore({ maxBytes: maxResponseBytes, channels, clock });
  let open = true;
  return {
    tokens,
    responses,
    ready: async () => open,
    close: async () => {
      open = false;
      tokens.close();
      responses.close();
    },
  };
}
