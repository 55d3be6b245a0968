/**
 * A few numbers that one thread keeps for itself, or several keep together. Every method is one step for all of them.
 */
export interface Cells {
  /** Of the whole numbers (32 bits, signed), the one at `index`. */
  get(index: number): number;
  /** The same in a fraction of the time, for a first look: another thread's last change may not be seen yet. */
  glance(index: number): number;
  set(index: number, value: number): void;
  /** Gives the sum. */
  add(index: number, amount: number): number;
  /** The same in a fraction of the time, for a number that no other thread changes before this one has ended. */
  addOwn(index: number, amount: number): void;
  /** Puts `value` in the place of `expected`; whether that was there. */
  replace(index: number, expected: number, value: number): boolean;
  /** Fractions and times. Other threads see what is written within `exclusively`. */
  readonly fractions: Float64Array;
  /**
   * Runs `action` while no other thread runs one for these cells. It must be short and must not ask for this again. After
   * a thread that has ended within it, the others go on: at once when they are told by `leave`, else after a second or
   * so, and with the numbers as that thread left them.
   */
  exclusively<T>(action: () => T): T;
  /** Wakes the threads that wait for the number at `index` to change. */
  wake(index: number): void;
  /** Resolves once the number at `index` is not `value`, as soon as `wake` says so. Keeps no process alive. */
  changed(index: number, value: number): Promise<void>;
  /** Whether these are the same numbers, seen from two threads. */
  isSameAs(other: Cells): boolean;
  /** Frees what a thread that has ended was doing exclusively. */
  leave(threadNumber: number): void;
}

/** How many numbers of each kind. */
export interface CellsSize {
  readonly whole: number;
  readonly fractions?: number;
}

/** Cells, and which of the threads that share them this one is. */
export interface Share {
  readonly cells: Cells;
  /** 0 to `threadCount` - 1. */
  readonly threadNumber: number;
  readonly threadCount: number;
}

/** Hands out this thread's share in what is called `name`; `sizeFor` says how much that is for so many threads. */
export type ShareOf = (name: string, sizeFor: (threadCount: number) => CellsSize) => Share;
