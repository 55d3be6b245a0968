import type { Settings } from '../../config/config.ts';
import { allRoutes } from '../../config/routes/complete.ts';
import type { Route, Service } from '../../config/sections/services.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import { Collections } from '../../lib/concurrency/collections.ts';
import type { Permits, PermitsOptions } from '../../lib/concurrency/permits.ts';
import { Semaphore } from '../../lib/concurrency/semaphore.ts';
import type { ShareOf } from '../../lib/threads/cells.ts';
import { SharedSemaphore } from '../../lib/threads/concurrency/sharedSemaphore.ts';
import type { Port } from '../port.ts';

/** Longest content of a login or logout. */
export const MAX_COLLECTED_BYTES = 64 * 1024;
/** How many requests with such content there may be at a time: 16 MiB together. */
const MAX_COLLECTED = 256;

/** Copies of requests under way to one service at a time, in each thread. */
export const MAX_MIRRORED = 100;
/** The most content that waits to be copied, for all services together, in each thread. */
const MAX_MIRRORED_BYTES = 8 * 1024 * 1024;
/** The same as a part of the memory for responses that are being collected. */
const MIRRORED_SHARE = 1 / 8;
/** How much of the response to a copy is read and dropped, so that the connection can be used again. */
export const MAX_MIRRORED_RESPONSE_BYTES = 1024 * 1024;

/** The permits that the requests of a service, or of one of its routes, need beside the gateway's. */
export interface RequestLimits {
  readonly requests: Permits;
  readonly streams: Permits;
}

/** The limits of one service. */
export interface ServiceLimits extends RequestLimits {
  /** By name, the routes that have permits of their own; those that they have not are the service's. */
  readonly routes: ReadonlyMap<string, RequestLimits>;
}

/** Content that waits to be copied, for all services together, in bytes. */
export function mirroredBytes({ memory }: Settings): number {
  return Math.min(MAX_MIRRORED_BYTES, memory.gatheringBytes * MIRRORED_SHARE);
}

/** All concurrency limits. */
export interface Limits {
  readonly gateway: Permits;
  readonly streams: Permits;
  readonly upgrades: Permits;
  /** Logouts that revoke their token. */
  readonly revocations: Permits;
  /** Logouts that are forwarded after their token was revoked. Neither kind of logout takes another permit. */
  readonly logouts: Permits;
  /** Requests whose content is collected before they ask for a permit. */
  readonly content: Permits;
  /** The content being collected under `content`, in this thread. */
  readonly collections: Collections;
  /** By path prefix. */
  readonly services: ReadonlyMap<string, ServiceLimits>;
  /** Open connections of each port; undefined: no limit. */
  readonly connections: Readonly<Record<Port, Permits | undefined>>;
}

/** The limits of several threads. */
export interface SharedLimits extends Limits {
  /** Releases what a thread that has ended held, and removes its waiting callers. */
  leave(threadNumber: number): void;
}

export type NewPermits = (name: string, options: PermitsOptions) => Permits;

/** The limits of a gateway of one thread. */
export function createLimits(settings: Settings, clock: Clock): Limits {
  return limitsOf(settings, (_name, options) => new Semaphore({ ...options, clock }));
}

/** The limits that all threads of a gateway share, for one of them. */
export function createSharedLimits(settings: Settings, shareOf: ShareOf, clock: Clock): SharedLimits {
  const all: SharedSemaphore[] = [];
  const newPermits = (name: string, options: PermitsOptions) => {
    const share = shareOf(`limit ${name}`, SharedSemaphore.sizeFor(options));
    const semaphore = new SharedSemaphore({ ...options, share, clock });
    all.push(semaphore);
    return semaphore;
  };
  const limits = limitsOf(settings, newPermits);
  return {
    ...limits,
    leave: (threadNumber) => all.forEach((semaphore) => void semaphore.leave(threadNumber)),
  };
}

function limitsOf(settings: Settings, permitsOf: NewPermits): Limits {
  const { globalConcurrency, maxStreams, maxUpgrades, logoutConcurrency, maxConnections } = settings;
  const { requests, reachable } = kindsOf(settings, permitsOf);
  const connections = (port: Port) => {
    if (maxConnections === 0) return undefined;
    const name = `connections ${port}`;
    // Services have no fair shares: there may be only a few, and they are trusted.
    return port === 'external' ? reachable(name, maxConnections) : permitsOf(name, { limit: maxConnections });
  };
  return {
    gateway: requests('gateway', globalConcurrency),
    streams: reachable('streams', maxStreams),
    upgrades: reachable('upgrades', maxUpgrades),
    revocations: reachable('revocations', logoutConcurrency),
    logouts: reachable('logouts', logoutConcurrency),
    content: reachable('content', MAX_COLLECTED),
    collections: new Collections(),
    services: serviceLimits(settings, permitsOf),
    connections: { external: connections('external'), internal: connections('internal') },
  };
}

/** How the two kinds of permits are made. */
function kindsOf({ concurrencyQueue: queue, fairShare }: Settings, permitsOf: NewPermits) {
  return {
    requests: (name: string, limit: number) => permitsOf(name, { limit, queue, fairShare }),
    // Without fair shares a caller who holds all of a limit could keep others from logging in or out for seconds, and
    // from connections, streams and WebSockets for as long as it likes, since only their client ends them.
    reachable: (name: string, limit: number) => permitsOf(name, { limit, fairShare, keepsRoom: true }),
  };
}

function serviceLimits(settings: Settings, permitsOf: NewPermits): ReadonlyMap<string, ServiceLimits> {
  const kinds = kindsOf(settings, onceEach(permitsOf));
  return new Map(
    settings.services.map((service) => [service.path, limitsOfService(service, settings, kinds)]),
  );
}

/** The same permits whenever a name comes again. */
function onceEach(permitsOf: NewPermits): NewPermits {
  const made = new Map<string, Permits>();
  return (name, options) => {
    const permits = made.get(name) ?? permitsOf(name, options);
    made.set(name, permits);
    return permits;
  };
}

function limitsOfService(
  service: Service,
  settings: Settings,
  { requests, reachable }: ReturnType<typeof kindsOf>,
): ServiceLimits {
  const { path, concurrency, streams } = service;
  const own = { requests: requests(path, concurrency), streams: reachable(`streams ${path}`, streams) };
  const ofRoutes = routesTo(service, settings).flatMap((route): [string, RequestLimits][] => {
    const { concurrency: most, streams: open } = route.permits;
    if (most === undefined && open === undefined) return [];
    // What is split has the same permits, whichever side is chosen.
    const label = `${route.sides ? 'all' : path} of ${route.name}`;
    const limits = {
      requests: most ? requests(label, most) : own.requests,
      streams: open === undefined ? own.streams : reachable(`streams ${label}`, open),
    };
    return [[route.name, limits]];
  });
  return { ...own, routes: new Map(ofRoutes) };
}

/** All routes that lead to it, whichever service they stand at. */
function routesTo({ path }: Service, routing: Settings): readonly Route[] {
  return allRoutes(routing).filter((route) => servicesOf(route).includes(path));
}

/** The services that get its requests, each some of them. */
function servicesOf({ action, sides }: Route): string[] {
  if (sides) return sides.map(({ service }) => service);
  return action.kind === 'forward' ? [action.service] : [];
}
