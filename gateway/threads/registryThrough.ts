import type { Cancel, Clock } from '../../lib/clock/clock.ts';
import type { Registry } from '../registry.ts';
import type { FromWorker } from './messages.ts';

/** Requests are told to the main thread together, so often. */
const TELL_EVERY_MS = 20;

export interface RegistryThroughOptions {
  readonly takesCalls: boolean;
  readonly tell: (told: FromWorker) => void;
  readonly isAsked: () => boolean;
  readonly clock: Clock;
}

/** The registry client of the main thread, for a worker. */
export function registryThrough({ takesCalls, tell, isAsked, clock }: RegistryThroughOptions): Registry {
  let counts = new Map<string, number>();
  let cancel: Cancel | undefined;

  function flush(): void {
    cancel?.();
    cancel = undefined;
    if (counts.size === 0) return;
    tell({ kind: 'increments', counts });
    counts = new Map();
  }

  return {
    takesCalls,
    get asked() {
      return isAsked();
    },
    async start() {},
    async stop() {
      flush();
    },
    increment(id) {
      if (!takesCalls) return;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      cancel ??= clock.after(TELL_EVERY_MS, flush);
    },
    deregister(replicaId) {
      // In order: the requests that led to it come first.
      flush();
      tell({ kind: 'deregister', replicaId });
    },
  };
}
