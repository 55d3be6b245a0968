import type { Logger } from './logger.ts';

/**
 * Switches between the level the logger has now and `debug`, back and forth; between `debug` and `info` when it has
 * `debug` now. Each turn says the new level in the log.
 */
export function levelSwitch(logger: Logger): () => void {
  const configured = logger.level;
  const other = configured === 'debug' ? 'info' : 'debug';
  return () => {
    const next = logger.level === other ? configured : other;
    // Said while debug is in force, before or after: at the other level it might not be written.
    logger.level = 'debug';
    logger.info(`Log level is now ${next}`);
    logger.level = next;
  };
}
