import { Discovery, type ReplicaSource } from '../../lib/loadbalancer/discovery.ts';
import type { RegistryOptions } from '../registry.ts';
import { type FillPoolsOptions, fillPools } from './fillPools.ts';

export interface DiscoverOptions extends Pick<RegistryOptions, 'metrics' | 'clock'>, FillPoolsOptions {
  readonly source: ReplicaSource;
  /** From the end of one look to the beginning of the next. */
  readonly intervalMs: number;
  /** The same after a look that failed. */
  readonly retryMs?: number;
}

/** Fills the pools from what a source lists, look by look. */
export function discover({
  find,
  services,
  onUnknown,
  metrics,
  log,
  ...timing
}: Readonly<DiscoverOptions>): Discovery {
  return new Discovery({
    ...timing,
    onListing: fillPools({ find, services, onUnknown, log }),
    onSkipped: log.skipped,
    onError: (error) => {
      metrics.registryErrors.count('list');
      log.failed(error);
    },
  });
}
