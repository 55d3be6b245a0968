export type HealthStatus = 'healthy' | 'unhealthy' | 'unknown';

/** What a replica registers with. */
export interface RegisteredReplica {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly health_check: string;
}

interface ReplicaRecord {
  readonly replica: RegisteredReplica;
  status: HealthStatus;
  requestCount: number;
}

/** Who is registered, how they are, and how many requests each was sent. Knows no HTTP. */
export class Replicas {
  readonly #byHost = new Map<string, ReplicaRecord>();

  /** True when it was not registered before. A known replica keeps its status and count. */
  register(replica: RegisteredReplica, requestCount = 0): boolean {
    const known = this.#byHost.get(replica.host);
    if (!known) this.#forgetAt(replica.url);
    this.#byHost.set(replica.host, { status: 'unknown', requestCount, ...known, replica });
    return !known;
  }

  /** True when it was registered. */
  deregister(id: string): boolean {
    const record = this.#find(id);
    return record !== undefined && this.#byHost.delete(record.replica.host);
  }

  /** Its new count, or `undefined` when it is not registered. */
  increment(id: string, by: number): number | undefined {
    const record = this.#find(id);
    if (!record) return undefined;
    record.requestCount += by;
    return record.requestCount;
  }

  /** Does nothing for a replica that has left meanwhile. */
  setStatus(host: string, status: HealthStatus): void {
    const record = this.#byHost.get(host);
    if (record) record.status = status;
  }

  /** `undefined` when it is not registered. */
  statusOf(host: string): HealthStatus | undefined {
    return this.#byHost.get(host)?.status;
  }

  registered(): RegisteredReplica[] {
    return Array.from(this.#byHost.values(), ({ replica }) => replica);
  }

  /** As they travel over the wire. */
  list() {
    return Array.from(this.#byHost.values(), ({ replica, status, requestCount }) => ({
      id: replica.host,
      ...replica,
      status,
      request_count: requestCount,
    }));
  }

  /** Whoever was here before has died without a word: its place is taken. */
  #forgetAt(url: string): void {
    for (const { replica } of this.#byHost.values())
      if (replica.url === url) this.#byHost.delete(replica.host);
  }

  /** By host or, for gateways that know a replica only by its static upstream, by host and port of its URL. */
  #find(id: string): ReplicaRecord | undefined {
    const byHost = this.#byHost.get(id);
    if (byHost) return byHost;
    for (const record of this.#byHost.values()) if (URL.parse(record.replica.url)?.host === id) return record;
    return undefined;
  }
}
