import type { Admission, Target } from '../exchange/attempt.ts';
import type { Share } from '../threads/cells.ts';
import { loadOf } from './choice/load.ts';
import { instanceName } from './instance.ts';
import type { ListedReplica } from './registry/listing.ts';
import { type Registered, registeredAt } from './registry/registered.ts';

/** What a registry says of a replica of the service in question. */
export interface Listed extends Omit<ListedReplica, 'name'> {
  /** What another thread calls it already. */
  readonly id?: string;
  /** What another thread counts of it already, and is taken over as it is. */
  readonly counts?: Share;
  /** False when only the settings list it. Default true. */
  readonly listed?: boolean;
}

/** Who a replica is. */
export type Known = Pick<Listed, 'key' | 'url' | 'registered' | 'listed'> & { readonly id: string };

/** One running copy of a service, as this gateway sees it. Only its pool changes it. */
export class Replica implements Target {
  readonly key: string;
  readonly id: string;
  readonly url: URL;
  /** What a registry knows it by. Its host is what it is called after, if nobody else is. */
  registered: Registered;
  /** Whether a registry lists it, or only the settings do. */
  listed: boolean;
  /** Requests of this gateway under way there. */
  inFlight = 0;
  /** Requests it has ever had. */
  requestCount = 0;
  /** When its latest request began, counted in requests of the service; 0: it has had none here. */
  turn = 0;
  /** Steps until its slow start is over; 0: it gets its full part. */
  startStepsLeft = 0;
  /** What the registry said of it last. */
  healthy = true;
  /** What its breaker lets through. */
  admission: Admission = 'all';
  /** When it last responded to anybody, by the clock's `ticks`; 0: never. */
  heardAtMs = 0;
  /** How long it took for that response. */
  tookMs = 0;
  /** Since when it has owed responses and given none, going by the tries that have ended so; written by `Absence`. */
  silentFromMs = 0;
  /** Until when the responses to those tries were owed; 0: there are none. */
  silentUntilMs = 0;
  /** Whose tries they were: a number for one caller, NaN for several. */
  silentCaller = 0;

  constructor({ key, id, url, registered, listed = true }: Known) {
    this.key = key;
    this.id = id;
    this.url = url;
    this.registered = registered;
    this.listed = listed;
  }

  /** A replica that only the settings list; `taken`: what others of its service are called. */
  static at(origin: string, taken = new Set<string>()): Replica {
    return new Replica(namedByAddress(origin, taken));
  }

  /** Those of this thread. */
  get inFlightHere(): number {
    return this.inFlight;
  }

  /** What the choice goes by first. */
  get load(): number {
    return this.loadWith(this.inFlight);
  }

  /** What `load` is with so many requests under way. */
  loadWith(inFlight: number): number {
    return loadOf(inFlight, this.startStepsLeft, this.admission);
  }

  /** Whether new requests may go there. */
  get available(): boolean {
    return this.healthy && this.admission !== 'none';
  }

  /** Counts a request as under way, unless `inFlight` has changed since it was read as this; whether it did. */
  begin(inFlight: number, turn: number): boolean {
    if (inFlight !== this.inFlight) return false;
    this.inFlight += 1;
    this.requestCount += 1;
    this.turn = turn;
    return true;
  }

  /** Ends what `begin` began. */
  end(): void {
    this.inFlight -= 1;
  }

  /** It has had at least so many requests. */
  raiseRequestCount(least: number): void {
    this.requestCount = Math.max(this.requestCount, least);
  }

  /** Ends what a thread that has ended had under way; alone, a thread has nobody to end anything for. */
  leave(_seat: number): void {}
}

/** What is known of a replica that only the settings list. Its name is added to those taken. */
export function namedByAddress(origin: string, taken: Set<string>): Known {
  const url = new URL(origin);
  const known = { key: url.host, url, registered: registeredAt(url), listed: false };
  const id = instanceName(known, taken);
  taken.add(id);
  return { ...known, id };
}
