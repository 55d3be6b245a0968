import type { Target } from '../exchange/attempt.ts';
import type { ListedReplica } from './listing.ts';

/** What a registry says of a replica of the service in question. */
export type Listed = Omit<ListedReplica, 'name'>;

/** One running copy of a service, as this gateway sees it. Only its pool changes it. */
export class Replica implements Target {
  readonly id: string;
  readonly url: URL;
  /** Whether a registry lists it, or only the settings do. */
  readonly listed: boolean;
  /** What the registry said of it last. */
  healthy: boolean;
  /** Kept from new requests for now, by its breaker for instance. */
  suspended = false;
  /** Requests of this gateway under way there. */
  inFlight = 0;
  /** Requests it has ever had. */
  requestCount: number;
  /** Requests it is treated as having had before it came, so that it is not sent all of them until it has caught up. */
  credit = 0;
  /** Requests it is treated as having under way besides, while it is new. */
  handicap = 0;

  constructor({ id, url, healthy, requestCount }: Listed, listed = true) {
    this.id = id;
    this.url = url;
    this.healthy = healthy;
    this.requestCount = requestCount;
    this.listed = listed;
  }

  /** A replica listed by address only: its host and port are its name. */
  static at(origin: string): Replica {
    const url = new URL(origin);
    return new Replica({ id: url.host, url, healthy: true, requestCount: 0 }, false);
  }

  /** What the choice goes by first. */
  get load(): number {
    return this.inFlight + this.handicap;
  }

  /** What the choice goes by among equally loaded ones. */
  get share(): number {
    return this.requestCount + this.credit;
  }

  get available(): boolean {
    return this.healthy && !this.suspended;
  }
}
