import { openStores } from '../../lib/store/open.ts';
import type { Stores } from '../../lib/store/store.ts';
import { StoreHealth } from '../health/storeHealth.ts';
import { evictionLog, storeStateLog, storeTroubleLog } from '../logs/storeLog.ts';
import type { Parts } from './parts.ts';

type StoresParts = Pick<Parts, 'settings' | 'logger' | 'clock' | 'logStoreError' | 'threads'>;

/** Opens the stores of the settings. Rejects when one cannot be opened. */
export function storesOf({ settings, logger, clock, logStoreError, threads }: StoresParts): Promise<Stores> {
  return openStores({
    redisUrl: settings.redisUrl,
    redisNodes: settings.redisNodes,
    // A worker that replaces another must start without Redis too, since the gateway goes on without it.
    required: settings.redisRequired && !threads?.isReplacement,
    timeoutMs: settings.storeTimeoutMs,
    dataDir: settings.dataDir,
    maxResponseBytes: settings.cacheMaxBytes,
    localBytes: settings.memory.rememberedBytes,
    maxRememberedBytes: settings.memory.rememberedBytes,
    clock,
    onError: logStoreError,
    onStateChange: storeStateLog(logger),
    onEviction: evictionLog(logger),
    onWarning: (message) => void logger.warn(message),
    threads: threads?.store,
  });
}

/** Watches whether the store of tokens can be relied on. */
export function storeHealthOf({
  stores,
  threads,
  logger,
}: Pick<Parts, 'stores' | 'threads' | 'logger'>): StoreHealth {
  return new StoreHealth({
    stores,
    settled: threads?.isReplacement ? undefined : stores.settled,
    onTrouble: storeTroubleLog(logger),
  });
}
