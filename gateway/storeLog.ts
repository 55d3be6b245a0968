import type { Clock } from '../lib/clock/clock.ts';
import type { Logger } from '../lib/logging/logger.ts';
import type { StoreStateChange } from '../lib/store/redis.ts';

/** A store that is away fails for every request: one line in this time says so. */
const EVERY_MS = 10_000;

/** Logs a store error at most once in ten seconds. */
export function storeErrorLog(logger: Logger, clock: Clock): (error: Error) => void {
  let nextAtMs = 0;
  return (error) => {
    if (clock.now() < nextAtMs) return;
    nextAtMs = clock.now() + EVERY_MS;
    logger.warn('The store does not answer', { error });
  };
}

/** Says when Redis is lost and when it is back: between the two every use of it fails at once. */
export function storeStateLog(logger: Logger): (change: StoreStateChange) => void {
  return ({ store, ready, cause }) => {
    if (ready) logger.info(`Redis answers (${store})`);
    else logger.warn(`Redis is away (${store})`, { error: cause });
  };
}
