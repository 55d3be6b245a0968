import { RegistryCalls } from '../../lib/loadbalancer/registry/callbacks.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import { RegistryClient } from '../../lib/loadbalancer/registry/registryClient.ts';
import { registryForms } from '../../lib/loadbalancer/registry/registryForms.ts';
import { type RegistryLog, registryLog } from '../logs/registryLog.ts';
import type { ListedService, Registry, RegistryOptions } from './contract.ts';
import { discover } from './discover.ts';
import { fillPools } from './fillPools.ts';
import { nearestName, serviceNames } from './namesOf.ts';
import { unknownNames } from './unknownNames.ts';

/** How long the calls that are left may take at the end. */
const FLUSH_MS = 1000;

/** The stack's own registry. It lists replicas, counts their requests, and is told which replicas do not work. */
export function httpRegistry(url: string, options: RegistryOptions): Registry {
  const { settings, services, metrics, logger, clock } = options;
  const log = registryLog(logger, clock);
  const client = clientFor(url, options);
  const calls = callsBy(client, log, options);
  const names = serviceNames(settings);
  const unknown = unknownNames((fresh) => log.unknown(fresh, (name) => nearestName(name, settings)));
  const discovery = discover({
    source: client,
    intervalMs: settings.serviceRefreshIntervalMs,
    onListing: fillPools({
      find: (name) => names.find(name),
      services,
      log,
      onUnknown: unknown.listed,
    }),
    metrics,
    log,
    clock,
  });
  return {
    takesCalls: true,
    get asked() {
      return discovery.firstRoundOver;
    },
    get unknownNames() {
      return unknown.entries;
    },
    start: () => discovery.start(),
    async stop() {
      discovery.stop();
      await calls.flush(FLUSH_MS);
      client.close();
    },
    increment: (replica) => calls.increment(replica),
    deregister(replica) {
      if (mayLeave(replica, client, log, services)) calls.deregister(replica);
    },
  };
}

/** Whether a replica may be taken out of the registry without others. */
function mayLeave(
  replica: Registered,
  client: RegistryClient,
  log: RegistryLog,
  services: readonly ListedService[],
): boolean {
  const url = client.deregisterUrl(replica);
  log.extracted(replica);
  const isShared = namesSeveral(client, replica, services);
  if (isShared) log.shared(replica, url);
  else log.deregistering(url);
  return !isShared;
}

function clientFor(url: string, { settings, clock }: RegistryOptions): RegistryClient {
  return new RegistryClient({
    url,
    timeoutMs: settings.requestTimeoutMs,
    forms: registryForms({
      increment: settings.serviceDiscoveryIncrement,
      deregister: settings.serviceDiscoveryDeregister,
    }),
    clock,
  });
}

function callsBy(
  client: RegistryClient,
  log: RegistryLog,
  { metrics, clock }: RegistryOptions,
): RegistryCalls {
  return new RegistryCalls({
    client,
    clock,
    onDeregistered: log.deregistered,
    onDropped: (count) => metrics.registryCallsDropped.countMany(count),
    onError: (error) => {
      metrics.registryErrors.count('update');
      log.failed(error);
    },
  });
}

/** Whether the registry would remove other replicas as well, because several of them listen on the same host. */
function namesSeveral(
  client: RegistryClient,
  replica: Registered,
  services: readonly ListedService[],
): boolean {
  const url = client.deregisterUrl(replica);
  const known = services.flatMap(({ replicas }) => replicas.pool.replicas);
  const named = known.filter(({ registered }) => client.deregisterUrl(registered) === url);
  return named.length > 1 || client.namesAnother(replica);
}
