import { NO_UNKNOWN_NAMES, type Registry, type RegistryOptions } from './contract.ts';

/** No registry: there are only static upstreams. */
const NO_REGISTRY: Registry = {
  takesCalls: false,
  asked: true,
  unknownNames: NO_UNKNOWN_NAMES,
  async start() {},
  async stop() {},
  increment() {},
  deregister() {},
};

/**
 * Makes the registry of the settings, if there is one, which fills the pools. Only the module of its kind is loaded.
 */
export async function createRegistry(options: Readonly<RegistryOptions>): Promise<Registry> {
  const { serviceDiscovery } = options.settings;
  switch (serviceDiscovery?.kind) {
    case undefined:
      return NO_REGISTRY;
    case 'dns':
      return (await import('./dns.ts')).dnsRegistry(serviceDiscovery, options);
    case 'consul':
      return (await import('./consul.ts')).consulRegistry(serviceDiscovery.url, options);
    case 'http':
      return (await import('./http.ts')).httpRegistry(serviceDiscovery.url, options);
  }
}
