import { counter, type GaugeDefinition } from '../series/definition.ts';
import type { Reading } from '../series/gauge.ts';

export interface RegistryReadings {
  /** Names that the registry lists and no service has, each with the number of its entries. */
  unknownNames(): ReadonlyMap<string, number>;
}

/** Calls to the registry. */
export const REGISTRY_COUNTERS = {
  registryErrors: counter('gateway_registry_errors_total', ['call'], 'Calls to the registry that failed.'),
  registryCallsDropped: counter(
    'gateway_registry_calls_dropped_total',
    [],
    'Calls that the registry was away for too long to get.',
  ),
};

/** What the registry lists and nobody asks for. */
export function registryGauges({ unknownNames }: RegistryReadings): GaugeDefinition[] {
  return [
    {
      name: 'gateway_registry_unknown_names',
      help: 'Entries that the registry lists under a name that no service has.',
      labels: ['name'],
      read: () => Array.from(unknownNames(), ([name, entries]): Reading => [entries, name]),
    },
  ];
}
