import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import { Channels } from '../../../lib/store/channels.ts';
import { MemoryStore } from '../../../lib/store/memory/memory.ts';
import {
  type ResponseChange,
  type Swap,
  SwapPlace,
  type Swapped,
  sizeOf,
} from '../../../lib/store/memory/threadsMemory.ts';
import type { SpentBuffers } from '../../process/spentBuffers.ts';
import type { WorkerTeam } from './team.ts';
import type { WorkerThread } from './workerThread.ts';

/** Passes the stored responses of each worker on to all others. */
export class StoredResponses {
  readonly #team: WorkerTeam;
  readonly #memory: SpentBuffers;
  readonly #swaps: SwapPlace;

  /** @param maxBytes how much each worker stores */
  constructor(maxBytes: number, team: WorkerTeam, memory: SpentBuffers) {
    this.#team = team;
    this.#memory = memory;
    this.#swaps = new SwapPlace(
      new MemoryStore({ maxBytes, channels: new Channels(() => {}), clock: threadsClock }),
    );
  }

  /** What a worker that begins must know. */
  get changes(): SwapPlace['changes'] {
    return this.#swaps.changes;
  }

  /**
   * Passes a change on to the workers, in the order in which changes arrive here. A `delete` also goes back to its sender, which
   * may meanwhile have applied an older change.
   */
  passOn(change: ResponseChange, from: WorkerThread): void {
    this.#memory.shared(sizeOf(change));
    if (change.kind === 'delete') void this.#swaps.delete(change.key);
    for (const worker of this.#team.workers) {
      if (worker !== from || change.kind === 'delete') worker.tell({ kind: 'response', change });
    }
  }

  async swap(swap: Swap): Promise<Swapped> {
    const { value, ttlMs, owner, isNew } = await this.#swaps.swap(swap);
    if (isNew) {
      this.#team.tellAll({ kind: 'response', change: { kind: 'set', key: swap.key, value, ttlMs, owner } });
    }
    return { value, ttlMs, owner };
  }
}
