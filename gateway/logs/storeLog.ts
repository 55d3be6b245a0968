import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Eviction } from '../../lib/store/redis/eviction.ts';
import type { StoreStateChange } from '../../lib/store/redis/redisNode.ts';
import type { StoreUnavailableError } from '../../lib/store/store.ts';
import { throttled } from './throttled.ts';

/** Logs store errors, at most one in ten seconds. */
export function storeErrorLog(logger: Logger, clock: Clock): (error: Error) => void {
  return throttled(clock, (error) => logger.warn('The store does not answer', { error }));
}

/** Logs when Redis is lost and when it is back. In between every use of it fails at once. */
export function storeStateLog(logger: Logger): (change: StoreStateChange) => void {
  return ({ store, ready, cause, node }) => {
    const redis = redisNamed(node);
    if (ready) logger.info(`${redis} answers (${store})`);
    else logger.warn(`${redis} is away (${store})`, { error: cause });
  };
}

/** Warns that a full Redis would evict revocations, and says what to set. */
export function evictionLog(logger: Logger): (eviction: Eviction) => void {
  return ({ policy, maxMemoryBytes, node }) =>
    logger.warn(
      `${redisNamed(node)} may evict revocations: maxmemory-policy is ${policy} with maxmemory ${maxMemoryBytes}. ` +
        'Whoever has logged out could be let in again; set maxmemory-policy to noeviction',
    );
}

/** Logs a record of API keys that cannot be read, and says what to do about it. */
export function unreadableKeyLog(logger: Logger): (problem: StoreUnavailableError) => void {
  return (problem) =>
    logger.error('An API key is refused: its record cannot be read. Revoke it, and make another', {
      error: problem,
    });
}

/** Logs when the store cannot be relied on, for example because it accepts no writes, and when it can again. */
export function storeTroubleLog(logger: Logger): (trouble: string | undefined) => void {
  let known: string | undefined;
  return (trouble) => {
    if (trouble === known) return;
    known = trouble;
    if (trouble === undefined) logger.info('Ready for users again: the store answers and takes writes');
    else logger.warn(`Not ready for users: logouts cannot be stored (${trouble})`);
  };
}

function redisNamed(node: string | undefined): string {
  return node === undefined ? 'Redis' : `Redis node ${node}`;
}
