import { Discovery, type DiscoveryOptions } from '../../lib/loadbalancer/registry/discovery.ts';
import type { RegistryLog } from '../logs/registryLog.ts';
import type { RegistryOptions } from './contract.ts';

export interface DiscoverOptions<Entry>
  extends Pick<DiscoveryOptions<Entry>, 'source' | 'intervalMs' | 'retryMs' | 'onListing'>,
    Pick<RegistryOptions, 'metrics' | 'clock'> {
  readonly log: RegistryLog;
}

/** Asks a source at intervals. Failures are counted and logged. */
export function discover<Entry>({
  metrics,
  log,
  ...looking
}: Readonly<DiscoverOptions<Entry>>): Discovery<Entry> {
  return new Discovery({
    ...looking,
    onSkipped: log.skipped,
    onError: (error) => {
      metrics.registryErrors.count('list');
      log.failed(error);
    },
  });
}
