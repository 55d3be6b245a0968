import type { Target } from '../exchange/attempt.ts';
import { leastLoaded } from './leastLoad.ts';

/** One running copy of a service, as this gateway sees it. */
export class Replica implements Target {
  readonly id: string;
  readonly url: URL;
  healthy = true;
  inFlight = 0;
  requestCount = 0;

  constructor(id: string, url: URL) {
    this.id = id;
    this.url = url;
  }

  /** A replica listed by address only: its host and port are its name. */
  static at(origin: string): Replica {
    const url = new URL(origin);
    return new Replica(url.host, url);
  }
}

export interface ReplicaPoolOptions {
  /** Path prefix of the service, for errors. */
  readonly service: string;
  readonly replicas: readonly Replica[];
  readonly random?: () => number;
}

/** The replicas of one service. */
export class ReplicaPool {
  readonly service: string;
  readonly replicas: readonly Replica[];
  readonly #random: () => number;

  constructor({ service, replicas, random = Math.random }: Readonly<ReplicaPoolOptions>) {
    this.service = service;
    this.replicas = replicas;
    this.#random = random;
  }

  /** The least loaded healthy replica that is `eligible`, counted as taken; `undefined` if there is none. */
  take(eligible: (replica: Replica) => boolean): Replica | undefined {
    const replica = leastLoaded(this.replicas, eligible, this.#random);
    if (!replica) return undefined;
    replica.inFlight += 1;
    replica.requestCount += 1;
    return replica;
  }
}
