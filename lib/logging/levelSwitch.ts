import type { Logger } from './logger.ts';

/**
 * Makes a function that switches between the logger's present level and `debug`; between `debug` and `info` when the present
 * level is `debug`. Each switch is logged.
 */
export function levelSwitch(logger: Logger): () => void {
  const configured = logger.level;
  const other = configured === 'debug' ? 'info' : 'debug';
  return () => {
    const next = logger.level === other ? configured : other;
    // Logged while debug is in force, before or after the switch: the other level might suppress the line.
    logger.level = 'debug';
    logger.info(`Log level is now ${next}`);
    logger.level = next;
  };
}
