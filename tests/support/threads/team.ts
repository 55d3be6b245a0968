import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { CellsSize, Share } from '../../../lib/threads/cells.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';

export interface TeamMember {
  readonly worker: Worker;
  /** Sends the thread a message and resolves to its answer. */
  ask<T>(message: unknown): Promise<T>;
}

/** Worker threads that all run one module of this folder on the same cells. This thread has number 0. */
export class Team implements AsyncDisposable {
  readonly buffer: SharedArrayBuffer;
  readonly share: Share;
  readonly members: readonly TeamMember[];

  /** @param data what the module finds in `workerData` beside `buffer`, `threadNumber` and `threadCount` */
  constructor(module: string, count: number, sizeFor: (threadCount: number) => CellsSize, data: object = {}) {
    const threadCount = count + 1;
    this.buffer = SharedCells.allocate(sizeFor(threadCount));
    this.share = { cells: new SharedCells(this.buffer, 0), threadNumber: 0, threadCount };
    this.members = Array.from({ length: count }, (_, i) => {
      const workerData = { ...data, buffer: this.buffer, threadNumber: i + 1, threadCount };
      return member(new Worker(join(import.meta.dirname, module), { workerData, execArgv: [] }));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
  }
}

function member(worker: Worker): TeamMember {
  return {
    worker,
    async ask<T>(message: unknown): Promise<T> {
      worker.postMessage(message);
      const [answer] = await once(worker, 'message');
      return answer as T;
    },
  };
}
