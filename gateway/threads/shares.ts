import type { CellsSize, Share, ShareOf } from '../../lib/threads/cells.ts';
import { SharedCells } from '../../lib/threads/sharedCells.ts';

export type Buffers = ReadonlyMap<string, SharedArrayBuffer>;

/** The shared memory of a gateway's threads, by name. The main thread allocates it and sends it to the others. */
export class Shares {
  readonly threadNumber: number;
  readonly threadCount: number;
  readonly buffers: Map<string, SharedArrayBuffer>;

  constructor(threadNumber: number, threadCount: number, buffers: Buffers = new Map()) {
    this.threadNumber = threadNumber;
    this.threadCount = threadCount;
    this.buffers = new Map(buffers);
  }

  readonly of: ShareOf = (name, sizeFor) => {
    const known = this.buffers.get(name);
    if (known) return this.see(known);
    const buffer = SharedCells.allocate(sizeFor(this.threadCount));
    this.buffers.set(name, buffer);
    return this.see(buffer);
  };

  /** Allocates memory without a name. */
  readonly allocate = (size: CellsSize): Share => this.see(SharedCells.allocate(size));

  /** The memory as the thread of this number uses it. */
  see(buffer: SharedArrayBuffer): Share {
    const { threadNumber, threadCount } = this;
    return { cells: new SharedCells(buffer, threadNumber), threadNumber, threadCount };
  }
}
