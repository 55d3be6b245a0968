import type { Settings } from '../config/config.ts';
import { Limiter } from '../lib/concurrency/limiter.ts';
import type { ShareOf } from '../lib/threads/cells.ts';
import type { Port } from './port.ts';

/** Every limit of how much may be under way at a time. */
export interface Limits {
  readonly gateway: Limiter;
  readonly upgrades: Limiter;
  /** By path prefix. */
  readonly services: ReadonlyMap<string, Limiter>;
  /** Open connections of a port; undefined: the server counts for itself, or there is no limit. */
  readonly connections: Readonly<Record<Port, Limiter | undefined>>;
}

/** @param shareOf where the limits hold for several threads */
export function createLimits(settings: Settings, shareOf?: ShareOf): Limits {
  const { concurrencyQueue: queue, maxConnections } = settings;
  const limiter = (name: string, limit: number, places = 0) =>
    new Limiter({ limit, queue: places, share: shareOf?.(`limit ${name}`, Limiter.sizeFor) });
  const connections = (port: Port) =>
    shareOf && maxConnections > 0 ? limiter(`connections ${port}`, maxConnections) : undefined;
  return {
    gateway: limiter('gateway', settings.globalConcurrency, queue),
    upgrades: limiter('upgrades', settings.maxUpgrades),
    services: new Map(
      settings.services.map(({ path, concurrency }) => [path, limiter(path, concurrency, queue)]),
    ),
    connections: { external: connections('external'), internal: connections('internal') },
  };
}

/** Every one of them. */
export function allLimiters({ gateway, upgrades, services, connections }: Limits): Limiter[] {
  const ofPorts = [connections.external, connections.internal].filter((limiter) => limiter !== undefined);
  return [gateway, upgrades, ...services.values(), ...ofPorts];
}
