import { z } from 'zod';
import type { Listing } from '../listing.ts';
import { type ConsulOptions, ConsulQuery } from './consulQuery.ts';

const CATALOG = z.record(z.string(), z.unknown());

/** The names of all services that Consul knows, and that its ACL token may see. */
export class ConsulCatalog {
  readonly #query: ConsulQuery;

  constructor(options: Readonly<ConsulOptions>) {
    this.#query = new ConsulQuery('/v1/catalog/services', options);
  }

  /** From the second call on it takes until something has changed, or a minute. Rejects with `RegistryError`. */
  list(): Promise<Listing<string>> {
    return this.#query.next((body) => ({ listed: Object.keys(CATALOG.parse(body ?? {})), skipped: [] }));
  }

  /** Ends the call under way. */
  close(): void {
    this.#query.close();
  }
}
