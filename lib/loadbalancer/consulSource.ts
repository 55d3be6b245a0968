import axios, { type AxiosInstance } from 'axios';
import { z } from 'zod';
import { replicaKey } from './instance.ts';
import type { ListedReplica, Listing } from './listing.ts';
import { bracketed, registeredAs } from './registered.ts';
import { RegistryError } from './registryError.ts';

/** How long Consul may hold an answer back until something changes. It adds up to a sixteenth of that. */
const WAIT_MS = 60_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

const ENTRY = z.object({
  Node: z.object({ Address: z.string() }),
  Service: z.object({ ID: z.string().min(1), Address: z.string(), Port: z.int().min(1).max(65_535) }),
  Checks: z.array(z.object({ Status: z.string() })),
});

export interface ConsulSourceOptions {
  /** `http://consul:8500`. */
  readonly url: string;
  /** The service's name in Consul, and here. */
  readonly service: string;
  /** For an answer that Consul need not hold back. */
  readonly timeoutMs: number;
  /** An ACL token. */
  readonly token?: string;
}

/**
 * Replicas of one service by Consul's health API, with blocking queries: from the second one on, `list` takes until
 * something has changed, or a minute.
 */
export class ConsulSource {
  readonly #service: string;
  readonly #timeoutMs: number;
  readonly #http: AxiosInstance;
  readonly #path: string;
  readonly #closing = new AbortController();
  #index = 0;

  constructor({ url, service, timeoutMs, token }: Readonly<ConsulSourceOptions>) {
    this.#service = service;
    this.#timeoutMs = timeoutMs;
    this.#path = `${url}/v1/health/service/${encodeURIComponent(service)}`;
    this.#http = axios.create({
      headers: token === undefined ? {} : { 'X-Consul-Token': token },
      proxy: false,
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
      signal: this.#closing.signal,
    });
  }

  /** Rejects with `RegistryError`. */
  async list(): Promise<Listing> {
    const waits = this.#index > 0;
    const params = waits ? { index: this.#index, wait: `${WAIT_MS}ms` } : {};
    const timeout = waits ? WAIT_MS * (17 / 16) + this.#timeoutMs : this.#timeoutMs;
    try {
      const { data, headers } = await this.#http.get<unknown>(this.#path, { params, timeout });
      this.#index = nextIndex(this.#index, headers['x-consul-index']);
      return this.#listing(data);
    } catch (error) {
      // Whatever happened there meanwhile: ask for all of it.
      this.#index = 0;
      throw new RegistryError(`GET ${this.#path}`, error);
    }
  }

  /** Ends the query under way. */
  close(): void {
    this.#closing.abort();
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

/** Consul's rules for clients: an index that went back, or is none, means to begin anew. */
function nextIndex(known: number, field: unknown): number {
  const index = Number(field);
  return Number.isSafeInteger(index) && index > 0 && index >= known ? index : 0;
}

function replicaFrom(name: string, { Node, Service, Checks }: z.output<typeof ENTRY>): ListedReplica {
  const host = Service.Address || Node.Address;
  const url = new URL(`http://${bracketed(host)}:${Service.Port}`);
  return {
    // Service ids are unique on one node only: by default all replicas have the same one.
    key: replicaKey(host, url),
    registered: registeredAs({ id: Service.ID, host, port: Service.Port }),
    name,
    url,
    // `warning` still works: Consul's own DNS hands such replicas out, too.
    healthy: Checks.every(({ Status }) => Status === 'passing' || Status === 'warning'),
    requestCount: 0,
  };
}
