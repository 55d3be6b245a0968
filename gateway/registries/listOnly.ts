import { Discovery, type ReplicaSource } from '../../lib/loadbalancer/discovery.ts';
import type { Registry, RegistryOptions } from '../registry.ts';
import { registryLog } from '../registryLog.ts';
import { fillPools } from './fillPools.ts';

export interface ListOnlyOptions extends RegistryOptions {
  readonly sources: readonly (ReplicaSource & { close(): void })[];
  /** From the end of one look to the beginning of the next. */
  readonly intervalMs: number;
  /** The same after a look that failed. */
  readonly retryMs?: number;
}

/** Whoever lists replicas but finds out by itself how they are. */
export function listOnly(options: Readonly<ListOnlyOptions>): Registry {
  const { sources, intervalMs, retryMs, services, metrics, logger, clock } = options;
  const log = registryLog(logger, clock);
  const discoveries = sources.map(
    (source) =>
      new Discovery({
        source,
        clock,
        intervalMs,
        retryMs,
        onListing: fillPools(services, log),
        onSkipped: log.skipped,
        onError: (error) => {
          metrics.registryErrors.count('list');
          log.failed(error);
        },
      }),
  );
  return {
    takesCalls: false,
    get asked() {
      return discoveries.every(({ firstRoundOver }) => firstRoundOver);
    },
    start() {
      for (const discovery of discoveries) void discovery.start();
    },
    async stop() {
      for (const discovery of discoveries) discovery.stop();
      for (const source of sources) source.close();
    },
    increment() {},
    deregister() {},
  };
}
