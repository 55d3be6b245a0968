import type { Replica } from './replica.ts';

interface Entry {
  readonly replica: Replica;
  place: number;
  lot: number;
}

/**
 * Candidates in a binary heap, the least loaded on top: fewest requests in flight, ties by the lowest share, further
 * ties by lot. Each change is O(log n), so the pick stays cheap with thousands of replicas.
 */
export class LoadHeap {
  readonly #heap: Entry[] = [];
  readonly #entries = new Map<Replica, Entry>();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  has(replica: Replica): boolean {
    return this.#entries.has(replica);
  }

  add(replica: Replica): void {
    if (this.has(replica)) return;
    const entry = { replica, place: this.#heap.length, lot: this.#random() };
    this.#entries.set(replica, entry);
    this.#heap.push(entry);
    this.#rise(entry);
  }

  remove(replica: Replica): void {
    const entry = this.#entries.get(replica);
    if (!entry) return;
    this.#entries.delete(replica);
    const last = this.#heap.pop() as Entry;
    if (last === entry) return;
    this.#put(last, entry.place);
    this.#settle(last);
  }

  /** To be called after the load of `replica` has changed. It draws a new lot, so that ties fall at random. */
  changed(replica: Replica): void {
    const entry = this.#entries.get(replica);
    if (!entry) return;
    entry.lot = this.#random();
    this.#settle(entry);
  }

  /** The least loaded one that is not `except`; `undefined` if there is none. */
  least(except?: Replica): Replica | undefined {
    const [top, left, right] = this.#heap;
    if (top?.replica !== except) return top?.replica;
    if (left && right && isBefore(right, left)) return right.replica;
    return left?.replica;
  }

  #settle(entry: Entry): void {
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

function isBefore(a: Entry, b: Entry): boolean {
  return (a.replica.load - b.replica.load || a.replica.share - b.replica.share || a.lot - b.lot) < 0;
}
