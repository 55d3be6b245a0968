import type { Replica } from '../replica.ts';
import { type Accepts, acceptsAll, type Candidates, compare, dueOf, type Rank } from './candidates.ts';
import { isPaced, pace } from './load.ts';

interface Entry {
  readonly replica: Replica;
  /** Its index in the heap; `OUTSIDE` while the replica is not available. */
  place: number;
  /** These are the replica's, as they were when it last changed. */
  load: number;
  due: number;
  turn: number;
  requestCount: number;
  lot: number;
}

const OUTSIDE = -1;

/**
 * Candidates in a binary heap, the next on top. Each change is O(log n), so the choice stays cheap with thousands of
 * replicas. It must be told of each change, so nobody else may change the replicas.
 */
export class LoadHeap implements Candidates {
  readonly #heap: Entry[] = [];
  readonly #entries = new Map<Replica, Entry>();
  readonly #random: () => number;
  #latestTurn = 0;
  /** When the latest request was due, where weights differ. */
  #now = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(replica: Replica): void {
    this.#entries.set(replica, {
      replica,
      place: OUTSIDE,
      load: 0,
      due: 0,
      turn: 0,
      requestCount: 0,
      lot: 0,
    });
    this.changed(replica);
  }

  remove(replica: Replica): void {
    const entry = this.#entries.get(replica);
    if (!entry) return;
    this.#entries.delete(replica);
    this.#takeOut(entry);
  }

  /** Draws a new lot, so that ties are settled at random. */
  changed(replica: Replica): void {
    const entry = this.#entries.get(replica);
    if (!entry) return;
    entry.load = replica.load;
    entry.due = dueOf(replica);
    entry.turn = replica.turn;
    entry.requestCount = replica.requestCount;
    entry.lot = this.#random();
    if (!replica.available) this.#takeOut(entry);
    else this.#settle(entry);
  }

  take(accepts?: Accepts): Replica | undefined {
    return this.#begin(this.least(accepts));
  }

  takeOne(replica: Replica): Replica | undefined {
    return this.#begin(replica.available ? replica : undefined);
  }

  takeSuspended(accepts: Accepts): Replica | undefined {
    let least: Replica | undefined;
    for (const replica of this.#entries.keys()) {
      const isSuspended = replica.healthy && !replica.available && accepts(replica);
      if (isSuspended && (!least || compare(rankOf(replica), rankOf(least)) < 0)) least = replica;
    }
    return this.#begin(least);
  }

  #begin(replica: Replica | undefined): Replica | undefined {
    if (!replica) return undefined;
    this.#latestTurn += 1;
    if (isPaced(replica.interval)) this.#pace(replica);
    replica.begin(this.#latestTurn);
    this.changed(replica);
    return replica;
  }

  /** Whoever was not asked for long gets no more for it. */
  #pace(replica: Replica): void {
    this.#now = Math.max(this.#now, replica.due);
    replica.due = this.#now + pace(replica.interval, replica.startStepsLeft);
  }

  least(accepts: Accepts = acceptsAll): Replica | undefined {
    const [top] = this.#heap;
    if (!top || accepts(top.replica)) return top?.replica;
    return this.#leastBelow(accepts)?.replica;
  }

  /** This is seldom needed, so it looks at all of them. */
  #leastBelow(accepts: Accepts): Entry | undefined {
    let least: Entry | undefined;
    for (const entry of this.#heap) {
      if ((!least || isBefore(entry, least)) && accepts(entry.replica)) least = entry;
    }
    return least;
  }

  #takeOut(entry: Entry): void {
    const { place } = entry;
    if (place === OUTSIDE) return;
    entry.place = OUTSIDE;
    const last = this.#heap.pop() as Entry;
    if (last === entry) return;
    this.#put(last, place);
    this.#settle(last);
  }

  #settle(entry: Entry): void {
    if (entry.place === OUTSIDE) entry.place = this.#heap.push(entry) - 1;
    this.#rise(entry);
    this.#sink(entry);
  }

  #rise(entry: Entry): void {
    let { place } = entry;
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1] as Entry;
      if (!isBefore(entry, parent)) break;
      const above = parent.place;
      this.#put(parent, place);
      place = above;
    }
    this.#put(entry, place);
  }

  #sink(entry: Entry): void {
    let { place } = entry;
    for (
      let child = this.#firstBelow(place);
      child && isBefore(child, entry);
      child = this.#firstBelow(place)
    ) {
      const below = child.place;
      this.#put(child, place);
      place = below;
    }
    this.#put(entry, place);
  }

  /** The child of `place` that comes before its sibling. */
  #firstBelow(place: number): Entry | undefined {
    const left = this.#heap[2 * place + 1];
    const right = this.#heap[2 * place + 2];
    return left && right && isBefore(right, left) ? right : left;
  }

  #put(entry: Entry, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

function rankOf(replica: Replica): Rank {
  const { load, turn, requestCount } = replica;
  return { load, due: dueOf(replica), turn, requestCount };
}

function isBefore(a: Entry, b: Entry): boolean {
  return (compare(a, b) || a.lot - b.lot) < 0;
}
