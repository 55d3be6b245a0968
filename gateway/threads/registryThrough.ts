import type { Cancel, Clock } from '../../lib/clock/clock.ts';
import { Tally } from '../../lib/loadbalancer/choice/tally.ts';
import { NO_UNKNOWN_NAMES, type Registry } from '../registries/contract.ts';
import type { FromWorker } from './messages.ts';

/** How often the counted requests are sent to the main thread. */
const TELL_EVERY_MS = 20;

export interface RegistryThroughOptions {
  readonly takesCalls: boolean;
  readonly tell: (told: FromWorker) => void;
  readonly isAsked: () => boolean;
  readonly clock: Clock;
}

/** A worker's registry, which passes all calls on to the registry client of the main thread. */
export function registryThrough({ takesCalls, tell, isAsked, clock }: RegistryThroughOptions): Registry {
  const counts = new Tally(Number.POSITIVE_INFINITY);
  let cancel: Cancel | undefined;

  function flush(): void {
    cancel?.();
    cancel = undefined;
    const told = counts.take();
    if (told.length > 0) tell({ kind: 'increments', counts: told });
  }

  return {
    takesCalls,
    get asked() {
      return isAsked();
    },
    // Only the main thread shows them.
    unknownNames: NO_UNKNOWN_NAMES,
    async start() {},
    async stop() {
      flush();
    },
    increment(replica) {
      if (!takesCalls) return;
      counts.add(replica);
      cancel ??= clock.after(TELL_EVERY_MS, flush);
    },
    deregister(replica) {
      // The requests that led to it are reported first.
      flush();
      tell({ kind: 'deregister', replica });
    },
  };
}
