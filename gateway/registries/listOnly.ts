import type { ReplicaSource } from '../../lib/loadbalancer/discovery.ts';
import { NO_UNKNOWN_NAMES, type Registry, type RegistryOptions } from '../registry.ts';
import { registryLog } from '../registryLog.ts';
import { discover } from './discover.ts';

export interface ListOnlyOptions extends RegistryOptions {
  readonly sources: readonly (ReplicaSource & { close(): void })[];
  /** From the end of one look to the beginning of the next. */
  readonly intervalMs: number;
  /** The same after a look that failed. */
  readonly retryMs?: number;
}

/** Whoever lists replicas but finds out by itself how they are. */
export function listOnly(options: Readonly<ListOnlyOptions>): Registry {
  const { sources, intervalMs, retryMs, settings, services, metrics, logger, clock } = options;
  const log = registryLog(logger, clock);
  // Who is looked up by name is listed by the service's own.
  const find = (name: string) => settings.services.find((service) => service.name === name);
  const discoveries = sources.map((source) =>
    discover({ source, intervalMs, retryMs, find, services, metrics, log, clock }),
  );
  return {
    takesCalls: false,
    unknownNames: NO_UNKNOWN_NAMES,
    get asked() {
      return discoveries.every(({ firstRoundOver }) => firstRoundOver);
    },
    async start() {
      await Promise.all(discoveries.map((discovery) => discovery.start()));
    },
    async stop() {
      for (const discovery of discoveries) discovery.stop();
      for (const source of sources) source.close();
    },
    increment() {},
    deregister() {},
  };
}
