import { Resolver } from 'node:dns/promises';
import type { ListedReplica, Listing } from '../listing.ts';
import { bracketed, registeredAt } from '../registered.ts';

/** What an answer that there is nothing looks like: no error, but no replicas either. */
const NOTHING: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA']);

/** A service whose replicas have addresses under one DNS name. */
export interface DnsService {
  readonly name: string;
  /** All that `{name}` may be, the likeliest first. Default: the name alone. */
  readonly names?: readonly string[];
  /** Where its replicas listen. SRV records say so themselves. */
  readonly port: number;
}

export interface DnsSourceOptions {
  /**
   * The name to look up; `{name}` in it is the service's or, where that has no addresses, each of its other names. A
   * pattern that begins with `_` is looked up as SRV (RFC 2782).
   */
  readonly pattern: string;
  readonly services: readonly DnsService[];
  /** `address` or `address:port` of the server to ask. Default: the system's. */
  readonly server?: string;
  /** For one question. */
  readonly timeoutMs: number;
}

/** Where replicas are. Each address of the host has the weight. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly weight?: number;
}

/** DNS could tell nothing of any service. The message names one and what went wrong. */
export class DnsError extends Error {
  override readonly name = 'DnsError';
}

/**
 * Replicas by DNS: the tasks of a Docker Swarm service, the pods behind a headless service of Kubernetes. All listed
 * replicas are healthy, because the engine does not list others.
 */
export class DnsSource {
  readonly #pattern: string;
  readonly #services: readonly DnsService[];
  readonly #resolver: Resolver;
  /** By which of its names each service was found last. */
  readonly #found = new Map<string, string>();

  constructor({ pattern, services, server, timeoutMs }: Readonly<DnsSourceOptions>) {
    this.#pattern = pattern;
    this.#services = services;
    this.#resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
    if (server !== undefined) this.#resolver.setServers([server]);
  }

  /** A service whose look-up fails is skipped. Rejects with `DnsError` when all of them fail. */
  async list(): Promise<Listing> {
    const results = await Promise.allSettled(this.#services.map((service) => this.#replicasOf(service)));
    const listed = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const skipped = results.flatMap((result, i) =>
      result.status === 'rejected'
        ? [`${this.#hostFor(this.#services[i]?.name)}: ${reasonOf(result.reason)}`]
        : [],
    );
    if (skipped.length > 0 && skipped.length === results.length) throw new DnsError(`dns: ${skipped[0]}`);
    return { listed, skipped };
  }

  /** Ends the look-ups under way. */
  close(): void {
    this.#resolver.cancel();
  }

  /** The replicas of the first of its names that has any. Rejects when the likeliest one failed and no other has any. */
  async #replicasOf(service: DnsService): Promise<ListedReplica[]> {
    const { name, names = [name] } = service;
    const likeliest = this.#found.get(name) ?? names[0] ?? name;
    const [first] = await Promise.allSettled([this.#replicasAt(likeliest, service)]);
    if (first.status === 'fulfilled' && first.value.length > 0) return first.value;
    // Only now: for what its engine does not know, a DNS server may ask another one, and wait for it.
    const others = names.filter((other) => other !== likeliest);
    const results = await Promise.allSettled(others.map((other) => this.#replicasAt(other, service)));
    for (const [at, result] of results.entries()) {
      if (result.status === 'rejected' || result.value.length === 0) continue;
      this.#found.set(name, others[at] ?? name);
      return result.value;
    }
    if (first.status === 'rejected') throw first.reason;
    return [];
  }

  /** The replicas that are found by this name of the service. */
  async #replicasAt(name: string, service: DnsService): Promise<ListedReplica[]> {
    const host = this.#hostFor(name);
    const places: Place[] = host.startsWith('_')
      ? await this.#srvPlaces(host)
      : [{ host, port: service.port }];
    const replicas = await Promise.all(
      places.map(async (place) => {
        const addresses = await this.#addresses(place.host);
        return addresses.map((address) => replicaAt(service.name, address, place));
      }),
    );
    return replicas.flat();
  }

  async #srvPlaces(host: string): Promise<Place[]> {
    const records = await orNothing(this.#resolver.resolveSrv(host));
    const first = Math.min(...records.map(({ priority }) => priority));
    // Later priorities are for when the first cannot be reached: breakers and listings take care of that here.
    return (
      records
        .filter(({ priority }) => priority === first)
        // With the weight 0 it should still have a small part (RFC 2782).
        .map(({ name, port, weight }) => ({ host: name, port, weight: Math.max(weight, 1) }))
    );
  }

  /** One family is enough: an engine's DNS may know nothing of the other, and pass the question on in vain. */
  async #addresses(host: string): Promise<string[]> {
    const families = [this.#resolver.resolve4(host), this.#resolver.resolve6(host)];
    const answers = await Promise.allSettled(families.map(orNothing));
    const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed && addresses.length === 0) throw failed.reason;
    return addresses;
  }

  #hostFor(name = ''): string {
    return this.#pattern.replaceAll('{name}', () => name);
  }
}

function replicaAt(name: string, address: string, { port, weight }: Place): ListedReplica {
  const url = new URL(`http://${bracketed(address)}:${port}`);
  const known = { key: url.host, registered: registeredAt(url), name, url, healthy: true, requestCount: 0 };
  return weight === undefined ? known : { ...known, weight };
}

async function orNothing<T>(answer: Promise<T[]>): Promise<T[]> {
  try {
    return await answer;
  } catch (error) {
    if (NOTHING.has((error as NodeJS.ErrnoException).code)) return [];
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
