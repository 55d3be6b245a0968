import { expect, it } from '@jest/globals';
import { SharedAskers } from '../../../lib/threads/concurrency/sharedAskers.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';

const SEED = 17;

/** Askers in cells that count how often they are locked. */
class CountingCells extends SharedCells {
  locks = 0;

  override exclusively<T>(action: () => T): T {
    this.locks += 1;
    return super.exclusively(action);
  }
}

function site() {
  const cells = new CountingCells(SharedCells.allocate({ whole: SharedAskers.cells }), 0);
  return { cells, askers: new SharedAskers(cells, 0, SEED) };
}

it('takes the lock once a second for somebody who asks alone', () => {
  const { cells, askers } = site();
  for (let nowMs = 1_000; nowMs < 4_000; nowMs += 10) askers.note('ann', nowMs);
  expect(cells.locks).toBe(3);
});

it('counts whoever has asked for ten seconds at least and eleven at most', () => {
  const { askers } = site();
  for (let nowMs = 1_000; nowMs <= 5_990; nowMs += 10) askers.note('ann', nowMs);
  askers.note('bob', 6_000);
  expect([askers.isAlone('bob', 15_989), askers.isAlone('bob', 17_000)]).toEqual([false, true]);
  expect([askers.isAlone('ann', 15_999), askers.isAlone('ann', 17_000)]).toEqual([false, true]);
});
