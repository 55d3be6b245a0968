import { constants } from 'node:os';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';

/** A terminal and npm both pass one Ctrl-C on: what comes within this time is the same wish. */
const SAME_WISH_MS = 1_000;

/** The process, as far as signals go. */
interface SignalledProcess {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

export interface SignalsOptions {
  readonly process: SignalledProcess;
  readonly logger: Logger;
  readonly clock: Clock;
  /** SIGTERM or SIGINT, each time it comes: the gateway is to drain and end. */
  readonly onStop: () => void;
  /** SIGUSR2: the log is to have its other level. */
  readonly onSwitchLevel: () => void;
  /** SIGURG, which the system ignores where nobody listens: what is in memory is to be written down. */
  readonly onHeapSnapshot: () => void;
}

/**
 * What each signal does. SIGTERM and SIGINT drain; a second one, a second later or more, ends the process at once with
 * 128 and the signal's number. SIGUSR2 switches the log's level, SIGURG takes a heap snapshot. SIGHUP and SIGUSR1 do nothing but say so: the one would
 * end the process without a drain, the other would open Node's inspector, through which every secret can be read.
 * `node --disable-sigusr1`, which every start of ours says, keeps SIGUSR1 from coming here at all: then nothing is said.
 * Node itself ignores SIGPIPE; all others do what the system has them do.
 */
export function listenToSignals(options: SignalsOptions): void {
  const { process, logger, clock, onStop } = options;
  let stoppingSinceMs: number | undefined;
  const stop = (signal: 'SIGTERM' | 'SIGINT') => {
    stoppingSinceMs ??= clock.ticks();
    if (clock.ticks() - stoppingSinceMs >= SAME_WISH_MS) {
      logger.warn(`${signal} came again: ending at once, and cutting the requests that are left`);
      process.exit(128 + constants.signals[signal]);
    }
    onStop();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  process.on('SIGUSR2', options.onSwitchLevel);
  process.on('SIGURG', options.onHeapSnapshot);
  process.on('SIGHUP', () => logger.info('SIGHUP ignored: settings are read at the start, and only there'));
  process.on('SIGUSR1', () =>
    logger.info('SIGUSR1 ignored: the inspector is opened by node --inspect alone, and not by a signal'),
  );
}
