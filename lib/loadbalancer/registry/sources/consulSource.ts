import { z } from 'zod';
import { replicaKey } from '../../instance.ts';
import type { ListedReplica, Listing } from '../listing.ts';
import { bracketed, registeredAs } from '../registered.ts';
import { type ConsulOptions, ConsulQuery } from './consulQuery.ts';

const ENTRY = z.object({
  Node: z.object({ Address: z.string() }),
  Service: z.object({
    ID: z.string().min(1),
    Address: z.string(),
    Port: z.int().min(1).max(65_535),
    Weights: z.object({ Passing: z.int().min(0), Warning: z.int().min(0) }).nullish(),
  }),
  Checks: z.array(z.object({ Status: z.string() })),
});

export interface ConsulSourceOptions extends ConsulOptions {
  /** The service's name here. */
  readonly service: string;
  /** Its name in Consul. Default: the same. */
  readonly consulName?: string;
}

/**
 * Replicas of one service by Consul's health API, with blocking queries: from the second one on, `list` takes until
 * something has changed, or a minute.
 */
export class ConsulSource {
  readonly #service: string;
  readonly #query: ConsulQuery;

  constructor({ service, consulName = service, ...options }: Readonly<ConsulSourceOptions>) {
    this.#service = service;
    this.#query = new ConsulQuery(`/v1/health/service/${encodeURIComponent(consulName)}`, options);
  }

  /** Rejects with `RegistryError`. */
  list(): Promise<Listing> {
    return this.#query.next((body) => this.#listing(body));
  }

  /** Ends the query under way. */
  close(): void {
    this.#query.close();
  }

  #listing(body: unknown): Listing {
    if (body === null) return { listed: [], skipped: [] };
    if (!Array.isArray(body)) throw new TypeError('expected an array');
    const listed: ListedReplica[] = [];
    const skipped: string[] = [];
    for (const [i, entry] of body.entries()) {
      const { data, error } = ENTRY.safeParse(entry);
      if (data) listed.push(replicaFrom(this.#service, data));
      else skipped.push(`entry ${i} of ${this.#service}: ${z.prettifyError(error)}`);
    }
    return { listed, skipped };
  }
}

function replicaFrom(name: string, { Node, Service, Checks }: z.output<typeof ENTRY>): ListedReplica {
  const host = Service.Address || Node.Address;
  const url = new URL(`http://${bracketed(host)}:${Service.Port}`);
  const isWarning = Checks.some(({ Status }) => Status === 'warning');
  return {
    // Service ids are unique on one node only: by default all replicas have the same one.
    key: replicaKey(host, url),
    registered: registeredAs({ id: Service.ID, host, port: Service.Port }),
    name,
    url,
    // `warning` still works: Consul's own DNS hands such replicas out, too.
    healthy: Checks.every(({ Status }) => Status === 'passing' || Status === 'warning'),
    ...(Service.Weights && { weight: isWarning ? Service.Weights.Warning : Service.Weights.Passing }),
    requestCount: 0,
  };
}
