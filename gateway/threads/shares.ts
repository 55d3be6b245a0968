import type { CellsSize, Share, ShareOf } from '../../lib/threads/cells.ts';
import { SharedCells } from '../../lib/threads/sharedCells.ts';

export type Buffers = ReadonlyMap<string, SharedArrayBuffer>;

/** The shared memory of a gateway's threads, by name. The main thread allocates it and sends it to the others. */
export class Shares {
  readonly seat: number;
  readonly seats: number;
  readonly buffers: Map<string, SharedArrayBuffer>;

  constructor(seat: number, seats: number, buffers: Buffers = new Map()) {
    this.seat = seat;
    this.seats = seats;
    this.buffers = new Map(buffers);
  }

  readonly of: ShareOf = (name, sizeFor) => {
    const known = this.buffers.get(name);
    if (known) return this.see(known);
    const buffer = SharedCells.allocate(sizeFor(this.seats));
    this.buffers.set(name, buffer);
    return this.see(buffer);
  };

  /** Allocates memory without a name. */
  readonly allocate = (size: CellsSize): Share => this.see(SharedCells.allocate(size));

  /** The memory as the thread of this seat uses it. */
  see(buffer: SharedArrayBuffer): Share {
    const { seat, seats } = this;
    return { cells: new SharedCells(buffer, seat), seat, seats };
  }
}
