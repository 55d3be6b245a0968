import { workerData } from 'node:worker_threads';
import { answerWith, ownShare } from './place.ts';

/** What the cells hold. */
const [INSIDE, MOST, VISITS] = [0, 1, 2] as const;

export type LocksOrder =
  /** Goes in and comes out again; answers once it was there. */
  | 'visit'
  /** Goes in and stays until its gate is opened, which may be never. */
  | 'stay';

const { cells, threadNumber } = ownShare();
const gates: Int32Array = workerData.gates;

answerWith((order: LocksOrder) =>
  cells.exclusively(() => {
    const inside = cells.add(INSIDE, 1);
    if (inside > cells.get(MOST)) cells.set(MOST, inside);
    if (order === 'stay') Atomics.wait(gates, threadNumber, 0);
    cells.add(INSIDE, -1);
    return cells.add(VISITS, 1);
  }),
);
