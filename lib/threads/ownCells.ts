import type { Cells, CellsSize, Share } from './cells.ts';

/** The cells of one thread alone: plain numbers, without a cost for sharing. */
export class OwnCells implements Cells {
  readonly fractions: Float64Array;
  readonly #whole: Int32Array;

  constructor({ whole, fractions = 0 }: CellsSize) {
    this.#whole = new Int32Array(whole);
    this.fractions = new Float64Array(fractions);
  }

  get(index: number): number {
    return this.#whole[index] as number;
  }

  glance(index: number): number {
    return this.#whole[index] as number;
  }

  set(index: number, value: number): void {
    this.#whole[index] = value;
  }

  add(index: number, amount: number): number {
    const sum = (this.#whole[index] as number) + amount;
    this.#whole[index] = sum;
    return sum;
  }

  addOwn(index: number, amount: number): void {
    this.add(index, amount);
  }

  replace(index: number, expected: number, value: number): boolean {
    if (this.#whole[index] !== expected) return false;
    this.#whole[index] = value;
    return true;
  }

  exclusively<T>(action: () => T): T {
    return action();
  }

  /** Nobody waits: whoever changes a number is whoever would. */
  wake(): void {}

  changed(): Promise<void> {
    return new Promise(() => {});
  }

  isSameAs(other: Cells): boolean {
    return other === this;
  }

  leave(): void {}
}

/** The whole of something, with nobody to share it with. */
export function alone(size: CellsSize): Share {
  return { cells: new OwnCells(size), threadNumber: 0, threadCount: 1 };
}
