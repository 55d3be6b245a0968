import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { writeHeapSnapshot } from 'node:v8';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';

/** Only the gateway's user may read it: it contains everything in memory, tokens and secrets too. */
const OWN_FILE = 0o600;

export interface HeapSnapshotOptions {
  /** The directory for snapshots. Undefined: none is taken. */
  readonly directory: string | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Writes the heap of this thread to a new file that only the gateway's user can read. That takes seconds, in which no request
 * is served, and about as much memory again. If the file cannot be written the log says why, and the gateway goes on.
 */
export function takeHeapSnapshot({ directory, logger, clock }: HeapSnapshotOptions): void {
  if (directory === undefined) {
    logger.info('SIGURG ignored: HEAP_SNAPSHOT_DIR is not set');
    return;
  }
  const startedMs = clock.ticks();
  const at = new Date(clock.now()).toISOString().replaceAll(/[:.]/g, '-');
  const path = join(directory, `gateway-${at}.heapsnapshot`);
  try {
    // `wx` creates a new file: an existing file or link is neither followed nor overwritten.
    closeSync(openSync(path, 'wx', OWN_FILE));
    writeHeapSnapshot(path);
    const tookMs = Math.round(clock.ticks() - startedMs);
    logger.warn(
      `Heap snapshot in ${path} after ${tookMs} ms. It holds secrets: delete it when it is done with`,
    );
  } catch (error) {
    logger.error(`No heap snapshot: ${path} cannot be written`, { error });
  }
}
