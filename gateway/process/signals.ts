import { constants } from 'node:os';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';

/** A terminal and npm both pass on the same Ctrl-C: signals within this time count as one. */
const SAME_WISH_MS = 1_000;

/** The part of `process` that signals need. */
interface SignalledProcess {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

export interface SignalsOptions {
  readonly process: SignalledProcess;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Called for each SIGTERM or SIGINT: the gateway is to drain and exit. */
  readonly onStop: () => void;
  /** Called for SIGUSR2: the log is to switch its level. */
  readonly onSwitchLevel: () => void;
  /** Called for SIGURG, which the system ignores by default: a heap snapshot is to be written. */
  readonly onHeapSnapshot: () => void;
}

/**
 * Handles the process's signals. SIGTERM and SIGINT drain; a second one, at least a second later, ends the process at once
 * with the exit code 128 + the signal's number. SIGUSR2 switches the log's level. SIGURG writes a heap snapshot. SIGHUP and
 * SIGUSR1 are only logged: by default the first would end the process without a drain, and the second would open Node's
 * inspector, through which every secret can be read. With `node --disable-sigusr1`, which all our start commands have, SIGUSR1
 * is blocked and not even logged. Node ignores SIGPIPE; all other signals have their default effect.
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
