import { randomUUID } from 'node:crypto';
import { HEALTHY_MESSAGE } from '../services/common.ts';

export type HealthStatus = 'healthy' | 'unhealthy' | 'unknown';

/** What a replica registers with. */
export interface Registrant {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Where it can be reached when nobody resolves `host`. Default: `http://<host>:<port>`. */
  readonly url?: string | undefined;
  readonly health_check: string;
}

/** A registration: whoever registers anew gets a new id, and begins at 0. */
export interface RegisteredReplica extends Registrant {
  /** A UUID. */
  readonly id: string;
  readonly registered_at: string;
}

interface ReplicaRecord {
  readonly replica: RegisteredReplica;
  status: HealthStatus;
  lastCheck: string | null;
  requestCount: number;
}

/** Who is registered, how they are, and how many requests each was sent. Knows no HTTP. */
export class Replicas {
  readonly #byId = new Map<string, ReplicaRecord>();

  /** Takes the place of whoever was registered at the same host and port, or URL. */
  register(registrant: Registrant): RegisteredReplica {
    for (const { replica } of this.#byId.values())
      if (isSamePlace(replica, registrant)) this.#byId.delete(replica.id);
    const replica = { id: randomUUID(), ...registrant, registered_at: now() };
    this.#byId.set(replica.id, { replica, status: 'unknown', lastCheck: null, requestCount: 0 });
    return replica;
  }

  /** Forgets all that are registered under the host. True when there was one. */
  deregister(host: string): boolean {
    const known = this.#at(host);
    for (const { replica } of known) this.#byId.delete(replica.id);
    return known.length > 0;
  }

  /** Counts for the replica with this id. False when it is not registered. */
  incrementById(id: string, by: number): boolean {
    const record = this.#byId.get(id);
    if (record) record.requestCount += by;
    return record !== undefined;
  }

  /** Counts for everybody under the host. False when nobody is registered there. */
  incrementByHost(host: string, by: number): boolean {
    const known = this.#at(host);
    for (const record of known) record.requestCount += by;
    return known.length > 0;
  }

  /** Of a replica by id, or of all under a host. Does nothing for those that have left meanwhile. */
  setStatus(idOrHost: string, status: HealthStatus): void {
    for (const record of this.#find(idOrHost)) {
      record.status = status;
      record.lastCheck = now();
    }
  }

  /** Of a replica by id, or of the first under a host; `undefined` when there is none. */
  statusOf(idOrHost: string): HealthStatus | undefined {
    return this.#find(idOrHost)[0]?.status;
  }

  registered(): RegisteredReplica[] {
    return Array.from(this.#byId.values(), ({ replica }) => replica);
  }

  /** As they travel over the wire; all of them, or those of one service. */
  list(name?: string) {
    const wanted = [...this.#byId.values()].filter(({ replica }) => !name || replica.name === name);
    return wanted.map(({ replica, status, lastCheck, requestCount }) => ({
      ...replica,
      status,
      last_check: lastCheck,
      request_count: requestCount,
      message: status === 'healthy' ? HEALTHY_MESSAGE : '',
    }));
  }

  #find(idOrHost: string): ReplicaRecord[] {
    const record = this.#byId.get(idOrHost);
    return record ? [record] : this.#at(idOrHost);
  }

  #at(host: string): ReplicaRecord[] {
    return [...this.#byId.values()].filter(({ replica }) => replica.host === host);
  }
}

/** Whoever listens at the same URL under another name is there because the former has died without a word. */
function isSamePlace(one: Registrant, other: Registrant): boolean {
  if (one.url !== undefined && one.url === other.url) return true;
  return one.name === other.name && one.host === other.host && one.port === other.port;
}

function now(): string {
  return new Date().toISOString();
}
