import type { Admission, Target } from '../exchange/attempt.ts';
import { loadOf } from './choice/load.ts';
import { identityAt, type ReplicaIdentity } from './instance.ts';
import type { Registered } from './registry/registered.ts';

/** One running copy of a service, as this gateway sees it. Only its pool changes it, but for what is said to be `Absence`'s. */
export class Replica implements Target, ReplicaIdentity {
  readonly key: string;
  readonly id: string;
  readonly url: URL;
  registered: Registered;
  listed: boolean;
  /** Requests of this gateway that are under way there. */
  inFlight = 0;
  /** All requests it has ever had. */
  requestCount = 0;
  /** When its latest request began, counted in requests of the service; 0: it has had none from this gateway. */
  turn = 0;
  /** Its part of the requests, compared with the weights of the others; 0: none as long as another can take them. */
  weight = 1;
  /**
   * What its weight means among the others: the least weight by its own, 1 or less, and `Infinity` with the weight 0; 0: they
   * all have the same. See `weigh`.
   */
  interval = 0;
  /** When it is due for its next request, counted in those of the replica with the least weight, where weights differ. */
  due = 0;
  /** Steps until its slow start is over; 0: it gets its full part of the load. */
  startStepsLeft = 0;
  /** Whether the registry called it healthy last. */
  listedHealthy = true;
  /** Whether the gateway's own checks let requests through to it. */
  passesChecks = true;
  /** What its breaker lets through. */
  admission: Admission = 'all';
  /** When it last responded to anybody, by the clock's `ticks`; 0: never. */
  heardAtMs = 0;
  /** How long that response took. */
  tookMs = 0;
  /** `Absence`: since when it has owed responses and given none. */
  silentFromMs = 0;
  /** `Absence`: until when those responses were owed; 0: none was. */
  silentUntilMs = 0;
  /** `Absence`: who has waited for them: a number for one caller, NaN for several. */
  silentCaller = 0;

  constructor({ key, id, url, registered, listed }: ReplicaIdentity) {
    this.key = key;
    this.id = id;
    this.url = url;
    this.registered = registered;
    this.listed = listed;
  }

  /** A replica that only the settings list. Its name is added to those that are `taken` by others of its service. */
  static at(origin: string, taken = new Set<string>()): Replica {
    return new Replica(identityAt(origin, taken));
  }

  /** The replica with the least load gets the next request. */
  get load(): number {
    return loadOf(this.inFlight, this.startStepsLeft, this.admission, this.interval);
  }

  /** Whether registry and checks both let requests through to it. */
  get healthy(): boolean {
    return this.listedHealthy && this.passesChecks;
  }

  /** Whether new requests may go there. */
  get available(): boolean {
    return this.healthy && this.admission !== 'none';
  }

  /** Whether nothing is under way there. */
  get isIdle(): boolean {
    return this.inFlight === 0;
  }

  /** Counts a request as under way. */
  begin(turn: number): void {
    this.inFlight += 1;
    this.requestCount += 1;
    this.turn = turn;
  }

  /** Ends what `begin` began. */
  end(): void {
    this.inFlight -= 1;
  }

  /** It has had at least so many requests, others' included. */
  raiseRequestCount(least: number): void {
    this.requestCount = Math.max(this.requestCount, least);
  }
}
