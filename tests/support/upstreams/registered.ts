import { type Registered, registeredAs } from '../../../lib/loadbalancer/registry/registered.ts';

/** A replica as a registry knows it that calls it what its host is called. */
export function registered(name: string, port = 80): Registered {
  return registeredAs({ id: name, host: name, port });
}
