import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Attempt } from '../../exchange/attempt.ts';
import { fnv1a, spread } from '../../util/hash.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Replica } from '../replica.ts';

/** A try begins a little after its request: so much of a deadline is taken for the whole. */
const WHOLE = 0.9;
/** Tries that follow each other within this part of a deadline have waited without a pause. */
const PAUSE = 0.1;
/** Several callers have waited: no number is equal to it. */
const SEVERAL = Number.NaN;
/** A caller as one number: the hash of its address in front, and of its name behind; 0: none is known. */
const NAMES = 2 ** 26;

export interface AbsenceWitness {
  /**
   * Where the caller is, or the caller itself when nothing else is known of it: such a one cannot be told from the others
   * at its address. Default: the caller.
   */
  readonly address?: string;
  /** Whether others than the caller have got good responses of late. Default: nobody has. */
  readonly othersAreServed?: () => boolean;
}

export interface AbsenceOptions {
  readonly pool: ReplicaPool;
  /** How long a request of the service may wait for its response. */
  readonly deadlineMs: number;
  readonly clock?: Clock;
}

/**
 * Judges by its silence whether a replica is absent.
 *
 * It is absent when it has owed responses for a whole deadline without a pause and has given none to anybody in that
 * time, **and** somebody bears witness: a second caller has waited in vain as well, another replica has responded to the
 * same request, or to any while nobody but this caller uses the service. So one caller makes nobody absent while others
 * are served, or has but one replica: nothing tells a frozen replica from one that works on a slow response. That others
 * are served elsewhere says nothing then: they are sent where less is under way.
 *
 * A try counts whose client has waited to the end, and one that was broken off because another replica responded: its
 * response is owed for one more deadline. A client that leaves says nothing about a replica.
 */
export class Absence {
  readonly #pool: ReplicaPool;
  readonly #wholeMs: number;
  readonly #pauseMs: number;
  /** How long a response is owed after its try was broken off because another replica responded. */
  readonly #owedMs: number;
  readonly #clock: Clock;

  constructor({ pool, deadlineMs, clock = systemClock }: Readonly<AbsenceOptions>) {
    this.#pool = pool;
    this.#wholeMs = deadlineMs * WHOLE;
    this.#pauseMs = deadlineMs * PAUSE;
    this.#owedMs = deadlineMs;
    this.#clock = clock;
  }

  /**
   * Whether the replica is absent that leaves this try of `caller` without a response now, as the deadline is over or
   * another replica has responded. To be asked once for a try.
   */
  judge(attempt: Attempt, caller: string, witness: Readonly<AbsenceWitness> = {}): boolean {
    const { target, startedAtMs, lost } = attempt;
    const { address = caller, othersAreServed = () => false } = witness;
    const replica = target as Replica;
    const nowMs = this.#clock.ticks();
    this.#prolong(replica, startedAtMs, lost ? nowMs + this.#owedMs : nowMs, numberOf(caller, address));
    const { silentFromMs, silentCaller } = replica;
    if (nowMs - silentFromMs < this.#wholeMs) return false;
    if (lost || Number.isNaN(silentCaller)) return true;
    return this.#pool.hasResponded(silentFromMs, replica) && !othersAreServed();
  }

  /** Adds the time in which a response was owed to the silence of its replica, or begins a new one with it. */
  #prolong(replica: Replica, startedAtMs: number, untilMs: number, caller: number): void {
    const { heardAtMs, silentFromMs, silentUntilMs, silentCaller } = replica;
    const fromMs = Math.max(startedAtMs, heardAtMs);
    const isUnbroken = silentUntilMs > 0 && silentFromMs >= heardAtMs;
    const goesOn = isUnbroken && startedAtMs <= silentUntilMs + this.#pauseMs;
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

/** Who has waited when both have: the same caller, as far as is known, or `SEVERAL`. */
function together(one: number, other: number): number {
  if (Math.floor(one / NAMES) !== Math.floor(other / NAMES)) return SEVERAL;
  const [name, otherName] = [one % NAMES, other % NAMES];
  if (name !== 0 && otherName !== 0 && name !== otherName) return SEVERAL;
  return name === 0 ? other : one;
}
