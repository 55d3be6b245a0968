import type { Target } from '../exchange/attempt.ts';
import type { CellsSize, Share } from '../threads/cells.ts';
import { alone } from '../threads/ownCells.ts';
import type { ListedReplica } from './listing.ts';

/** What a registry says of a replica of the service in question. */
export interface Listed extends Omit<ListedReplica, 'name'> {
  /** The counts of a replica that another thread has begun: they are as they should be. */
  readonly counts?: Share;
}

export interface ReplicaOptions {
  /** Whether a registry lists it, or only the settings do. Default true. */
  readonly listed?: boolean;
  /** This thread's part in the counts of several, of `Replica.sizeFor`. Default: it is alone. */
  readonly counts?: Share;
}

const IN_FLIGHT = 0;
/** Those of late; what a registry says and what does not fit is in a fraction. */
const REQUESTS = 1;
const HANDICAP = 2;
const SUSPENDED = 3;
const UNHEALTHY = 4;
/** From here on what each seat has under way. */
const FIRST_SEAT = 5;

const EARLIER_REQUESTS = 0;
const CREDIT = 1;

const MOST_OF_LATE = 2 ** 30;

/** One running copy of a service, as this gateway sees it. Only its pool changes it. */
export class Replica implements Target {
  readonly id: string;
  readonly url: URL;
  readonly listed: boolean;
  readonly counts: Share;

  constructor(
    { id, url }: Pick<Listed, 'id' | 'url'>,
    { listed = true, counts = alone(Replica.sizeFor(1)) }: ReplicaOptions = {},
  ) {
    this.id = id;
    this.url = url;
    this.listed = listed;
    this.counts = counts;
  }

  /** A replica listed by address only: its host and port are its name. */
  static at(origin: string, counts?: Share): Replica {
    const url = new URL(origin);
    return new Replica({ id: url.host, url }, { listed: false, counts });
  }

  static sizeFor(seats: number): CellsSize {
    return { whole: FIRST_SEAT + seats, fractions: 2 };
  }

  /** Requests of this gateway under way there. */
  get inFlight(): number {
    return this.counts.cells.glance(IN_FLIGHT);
  }

  /** Those of this thread. */
  get inFlightHere(): number {
    return this.counts.cells.glance(FIRST_SEAT + this.counts.seat);
  }

  /** Requests it has ever had. */
  get requestCount(): number {
    const { cells } = this.counts;
    return cells.glance(REQUESTS) + (cells.fractions[EARLIER_REQUESTS] as number);
  }

  /** Requests it is treated as having had before it came, so that it is not sent all of them until it has caught up. */
  get credit(): number {
    return this.counts.cells.fractions[CREDIT] as number;
  }

  set credit(credit: number) {
    this.counts.cells.fractions[CREDIT] = credit;
  }

  /** Requests it is treated as having under way besides, while it is new. */
  get handicap(): number {
    return this.counts.cells.glance(HANDICAP);
  }

  set handicap(handicap: number) {
    this.counts.cells.set(HANDICAP, handicap);
  }

  /** What the registry said of it last. */
  get healthy(): boolean {
    return this.counts.cells.glance(UNHEALTHY) === 0;
  }

  set healthy(healthy: boolean) {
    this.counts.cells.set(UNHEALTHY, Number(!healthy));
  }

  /** Kept from new requests for now, by its breaker for instance. */
  get suspended(): boolean {
    return this.counts.cells.glance(SUSPENDED) === 1;
  }

  set suspended(suspended: boolean) {
    this.counts.cells.set(SUSPENDED, Number(suspended));
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

  /** Counts a request as under way, unless another thread has changed `inFlight` since it was read; whether it did. */
  begin(inFlight: number): boolean {
    const { cells, seat } = this.counts;
    if (!cells.replace(IN_FLIGHT, inFlight, inFlight + 1)) return false;
    cells.add(FIRST_SEAT + seat, 1);
    if (cells.add(REQUESTS, 1) === MOST_OF_LATE) this.#makeRoom();
    return true;
  }

  /** Ends what `begin` began. */
  end(): void {
    const { cells, seat } = this.counts;
    cells.add(FIRST_SEAT + seat, -1);
    cells.add(IN_FLIGHT, -1);
  }

  /** It has had at least so many requests. */
  raiseRequestCount(least: number): void {
    const missing = least - this.requestCount;
    if (missing > 0) this.#addEarlier(missing);
  }

  /** Ends what a thread that has ended had under way. */
  leave(seat: number): void {
    const { cells } = this.counts;
    cells.leave(seat);
    cells.add(IN_FLIGHT, -cells.get(FIRST_SEAT + seat));
    cells.set(FIRST_SEAT + seat, 0);
  }

  #makeRoom(): void {
    this.#addEarlier(MOST_OF_LATE);
    this.counts.cells.add(REQUESTS, -MOST_OF_LATE);
  }

  #addEarlier(requests: number): void {
    const { cells } = this.counts;
    cells.exclusively(() => {
      cells.fractions[EARLIER_REQUESTS] = (cells.fractions[EARLIER_REQUESTS] as number) + requests;
    });
  }
}
