import type { Clock } from '../../lib/clock/clock.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import { throttled } from './throttled.ts';

interface Named {
  readonly key: string;
  readonly id: string;
}

export type RegistryLog = ReturnType<typeof registryLog>;

/** All log lines about the registry. */
export function registryLog(logger: Logger, clock: Clock) {
  return { ...listingLog(logger, clock), ...deregistrationLog(logger) };
}

/** About what it lists. */
function listingLog(logger: Logger, clock: Clock) {
  return {
    failed: throttled(clock, (error: Error) => {
      logger.warn('The registry does not do its part: the last good list stays', { error });
    }),

    skipped: throttled(clock, ([first, ...others]: readonly string[]) => {
      logger.warn(`The registry lists what cannot be used: ${first}`, { others: others.length });
    }),

    /** Names that are new in the listing and that no service has. `nearest` finds the service that may be meant. */
    unknown(names: readonly string[], nearest: (name: string) => string | undefined): void {
      const shown = names.slice(0, SHOWN).map((name) => namedWith(name, nearest(name)));
      const more = names.length > SHOWN ? [`and ${names.length - SHOWN} more`] : [];
      logger.warn(
        `The registry lists what no service is called, and it gets no requests: ${[...shown, ...more].join(', ')}`,
      );
    },

    /** Which replicas were added and removed, if any. */
    listed(service: string, before: readonly Named[], after: readonly Named[]): void {
      const joined = namesMissing(after, before);
      const left = namesMissing(before, after);
      if (joined.length + left.length === 0) return;
      logger.info(`Discovered ${after.length} replicas of ${service}`, {
        service,
        joined: shortened(joined),
        left: shortened(left),
      });
    },
  };
}

/** About replicas that are taken out of it. */
function deregistrationLog(logger: Logger) {
  return {
    /** The registry's id of a replica whose breaker has opened, in the words of the original. */
    extracted({ host }: Registered): void {
      logger.warn(`🔍 Extracted replica ID: ${host}`);
    },

    deregistering(url: string): void {
      logger.warn(`🗑️  Sending deregister request: ${url}`);
    },

    /** A deregistration that is not made, because it would remove replicas that work. */
    shared({ host, port }: Registered, url: string): void {
      logger.warn(
        `The replica at ${host}:${port} stays registered: ${url} would take away others that the registry knows by ` +
          'the same name. SERVICE_DISCOVERY_DEREGISTER can hold {id} or {port} as well',
      );
    },

    /** Both lines are the original's: one is in its log example, the other in its walk-through. */
    deregistered({ host }: Registered): void {
      logger.warn(`✅ Successfully deregistered replica: ${host}`);
      logger.warn(`🗑️ Deregistered replica ${host}`);
    },
  };
}

const SHOWN = 10;
const SHOWN_CHARACTERS = 60;

function namedWith(name: string, nearest: string | undefined): string {
  const text = JSON.stringify(
    name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}...` : name,
  );
  return nearest === undefined ? text : `${text} (did you mean ${nearest}?)`;
}

function shortened(names: readonly string[]): string {
  const more = names.length > SHOWN ? [`and ${names.length - SHOWN} more`] : [];
  return [...names.slice(0, SHOWN), ...more].join(', ');
}

/**
 * The names of those in `here` that are not in `there`. A replica that has moved to another port is named with its
 * port.
 */
function namesMissing(here: readonly Named[], there: readonly Named[]): string[] {
  const keys = new Set(there.map(({ key }) => key));
  const names = new Set(there.map(({ id }) => id));
  return here.filter(({ key }) => !keys.has(key)).map(({ key, id }) => (names.has(id) ? key : id));
}
