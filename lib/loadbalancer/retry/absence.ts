import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Attempt } from '../../exchange/attempt.ts';
import { fnv1a, spread } from '../../util/hash.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Replica } from '../replica.ts';

/** A try begins a little after its request, so this part of the deadline counts as a whole one. */
const WHOLE = 0.9;
/** A shorter part of the deadline between two tries is no pause. */
const PAUSE = 0.1;
/** Several callers have waited. No caller's number is equal to it. */
const SEVERAL = Number.NaN;
/** A caller is one number: the hash of its address times this, plus the hash of its name; 0: no name is known. */
const NAMES = 2 ** 26;

export interface AbsenceWitness {
  /**
   * Where the caller is. When nothing else is known of the caller, it is the caller itself: then the caller cannot be told
   * from others at its address. Default: the caller.
   */
  readonly address?: string;
  /** Whether anybody but the caller got a good response recently. Default: nobody did. */
  readonly othersAreServed?: () => boolean;
  /** How long this request may wait, in milliseconds. Default: as long as those of its service. */
  readonly deadlineMs?: number;
}

export interface AbsenceOptions {
  readonly pool: ReplicaPool;
  /** How long requests of the service may wait for their response where their route does not say otherwise. */
  readonly deadlineMs: number;
  readonly clock?: Clock;
}

/**
 * Judges whether a replica that gives no responses is absent.
 *
 * A replica is absent when it has owed responses for a whole deadline without a pause, has given none to anybody in that
 * time, **and** there is further evidence: a second caller has waited in vain as well; or another replica has responded to
 * the same request; or another replica has responded to any request while nobody but this caller uses the service. So one
 * caller alone makes no replica absent while others are served, or when there is only one replica, because nothing tells a
 * frozen replica from one that works on a slow response. That others are served by other replicas is no evidence then:
 * they are sent where less is under way.
 *
 * A deadline is the one of the service, for a request with a longer one its own: that somebody has little patience makes nobody
 * absent, and a replica that is given two minutes may take them.
 *
 * A try counts if its client has waited to the end, or if it was broken off because another replica responded: then its
 * response is owed for one more deadline. A client that leaves says nothing about a replica.
 */
export class Absence {
  readonly #pool: ReplicaPool;
  readonly #deadlineMs: number;
  readonly #clock: Clock;

  constructor({ pool, deadlineMs, clock = systemClock }: Readonly<AbsenceOptions>) {
    this.#pool = pool;
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
  }

  /**
   * Whether the replica of this try is absent. To be asked once, when the try of `caller` ends without a response because
   * the deadline is over or another replica has responded.
   */
  judge(attempt: Attempt, caller: string, witness: Readonly<AbsenceWitness> = {}): boolean {
    const { target, startedAtMs, lost } = attempt;
    const { address = caller, othersAreServed = () => false, deadlineMs: ownMs = this.#deadlineMs } = witness;
    const replica = target as Replica;
    const nowMs = this.#clock.ticks();
    // A try that was broken off because another replica responded is owed its response for one more deadline.
    this.#prolong(replica, startedAtMs, lost ? nowMs + ownMs : nowMs, numberOf(caller, address));
    const { silentFromMs, silentCaller } = replica;
    if (nowMs - silentFromMs < Math.max(this.#deadlineMs, ownMs) * WHOLE) return false;
    if (lost || Number.isNaN(silentCaller)) return true;
    return this.#pool.hasResponded(silentFromMs, replica) && !othersAreServed();
  }

  /** Adds the time in which a response was owed to the silence of the replica, or begins a new silence. */
  #prolong(replica: Replica, startedAtMs: number, untilMs: number, caller: number): void {
    const { heardAtMs, silentFromMs, silentUntilMs, silentCaller } = replica;
    const fromMs = Math.max(startedAtMs, heardAtMs);
    const isUnbroken = silentUntilMs > 0 && silentFromMs >= heardAtMs;
    const goesOn = isUnbroken && startedAtMs <= silentUntilMs + this.#deadlineMs * PAUSE;
    replica.silentFromMs = goesOn ? Math.min(silentFromMs, fromMs) : fromMs;
    replica.silentUntilMs = goesOn ? Math.max(silentUntilMs, untilMs) : untilMs;
    replica.silentCaller = goesOn ? together(silentCaller, caller) : caller;
  }
}

/** One number for each caller, which several threads can share. */
function numberOf(caller: string, address: string): number {
  const name = caller === address ? 0 : 1 + (spread(fnv1a(caller)) >>> 7);
  return (spread(fnv1a(address)) >>> 6) * NAMES + name;
}

/** The one number for two that have waited: the same caller, as far as is known, or `SEVERAL`. */
function together(one: number, other: number): number {
  if (Math.floor(one / NAMES) !== Math.floor(other / NAMES)) return SEVERAL;
  const [name, otherName] = [one % NAMES, other % NAMES];
  if (name !== 0 && otherName !== 0 && name !== otherName) return SEVERAL;
  return name === 0 ? other : one;
}
