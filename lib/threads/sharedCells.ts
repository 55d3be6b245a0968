import { randomInt } from 'node:crypto';
import type { Cells, CellsSize } from './cells.ts';

const LOCK = 0;
const SLEEPERS = 1;
const WHOLE = 2;
/** A buffer is another object in each thread: this tells which is which. */
const NAME = 3;
const MOST_NAMES = 2 ** 31 - 1;
/** How often the lock was taken: tells one taking from the next. */
const TAKEN = 4;
/** Whole numbers in front of those that callers see; even, so that the fractions are aligned. */
const HEAD = 6;
/** Looks at a lock before its thread sleeps: what it guards takes less than a microsecond. */
const SPINS = 200;
/** A sleeper looks again after so long, should nobody wake it. */
const SLEEP_MS = 1;
/**
 * After so many sleeps in a row, more than a second, nobody is left who would give the lock back: its thread has ended
 * within, of memory that is used up or of `terminate`, which no `finally` sees. Counted in sleeps and not in time: while
 * the whole process is stopped, nobody gives up.
 */
const MOST_SLEEPS = 1_000;
const FREE = 0;

/** Cells in memory that several worker threads see. */
export class SharedCells implements Cells {
  readonly buffer: SharedArrayBuffer;
  readonly fractions: Float64Array;
  readonly #whole: Int32Array;
  readonly #owner: number;

  /** @param buffer of `SharedCells.allocate`, in this thread or another */
  constructor(buffer: SharedArrayBuffer, threadNumber: number) {
    const whole = new Int32Array(buffer, 0, HEAD)[WHOLE] as number;
    this.buffer = buffer;
    this.#whole = new Int32Array(buffer, 0, HEAD + whole);
    this.fractions = new Float64Array(buffer, offsetOfFractions(whole));
    this.#owner = threadNumber + 1;
  }

  static allocate({ whole, fractions = 0 }: CellsSize): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(
      offsetOfFractions(whole) + fractions * Float64Array.BYTES_PER_ELEMENT,
    );
    const head = new Int32Array(buffer, 0, HEAD);
    head[WHOLE] = whole;
    head[NAME] = randomInt(MOST_NAMES);
    return buffer;
  }

  get(index: number): number {
    return Atomics.load(this.#whole, HEAD + index);
  }

  glance(index: number): number {
    return this.#whole[HEAD + index] as number;
  }

  set(index: number, value: number): void {
    Atomics.store(this.#whole, HEAD + index, value);
  }

  add(index: number, amount: number): number {
    return Atomics.add(this.#whole, HEAD + index, amount) + amount;
  }

  addOwn(index: number, amount: number): void {
    this.#whole[HEAD + index] = (this.#whole[HEAD + index] as number) + amount;
  }

  replace(index: number, expected: number, value: number): boolean {
    return Atomics.compareExchange(this.#whole, HEAD + index, expected, value) === expected;
  }

  exclusively<T>(action: () => T): T {
    this.#lock();
    try {
      return action();
    } finally {
      this.#unlock();
    }
  }

  wake(index: number): void {
    Atomics.notify(this.#whole, HEAD + index);
  }

  async changed(index: number, value: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#whole, HEAD + index, value);
    if (waiting.async) await waiting.value;
  }

  isSameAs(other: Cells): boolean {
    return other instanceof SharedCells && other.#whole[NAME] === this.#whole[NAME];
  }

  leave(threadNumber: number): void {
    Atomics.compareExchange(this.#whole, LOCK, threadNumber + 1, FREE);
  }

  #lock(): void {
    for (let spins = 0; spins < SPINS; spins += 1) {
      if (this.#take(FREE) === FREE) return;
    }
    this.#sleepUntilTaken();
  }

  #sleepUntilTaken(): void {
    let taken = Atomics.load(this.#whole, TAKEN);
    let sleeps = 0;
    for (let owner = this.#take(FREE); owner !== FREE; owner = this.#take(FREE)) {
      if (sleeps >= MOST_SLEEPS && this.#take(owner) === owner) return;
      Atomics.add(this.#whole, SLEEPERS, 1);
      Atomics.wait(this.#whole, LOCK, owner, SLEEP_MS);
      Atomics.sub(this.#whole, SLEEPERS, 1);
      const before = taken;
      taken = Atomics.load(this.#whole, TAKEN);
      sleeps = taken === before ? sleeps + 1 : 0;
    }
  }

  /** Takes the lock from `from`; whose it was. */
  #take(from: number): number {
    const owner = Atomics.compareExchange(this.#whole, LOCK, from, this.#owner);
    if (owner === from) Atomics.add(this.#whole, TAKEN, 1);
    return owner;
  }

  #unlock(): void {
    // Not when another thread has taken the lock over from this one.
    if (Atomics.compareExchange(this.#whole, LOCK, this.#owner, FREE) !== this.#owner) return;
    if (Atomics.load(this.#whole, SLEEPERS) > 0) Atomics.notify(this.#whole, LOCK, 1);
  }
}

function offsetOfFractions(whole: number): number {
  return (HEAD + whole + (whole % 2)) * Int32Array.BYTES_PER_ELEMENT;
}
