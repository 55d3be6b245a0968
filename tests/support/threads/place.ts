import { parentPort, workerData } from 'node:worker_threads';
import type { Share } from '../../../lib/threads/cells.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';

/** This thread's part of what its `Team` shares. */
export function ownShare(): Share {
  const { buffer, threadNumber, threadCount } = workerData;
  return { cells: new SharedCells(buffer, threadNumber), threadNumber, threadCount };
}

/** Answers each message of the test with what `answer` gives for it. */
export function answerWith(answer: (message: never) => unknown): void {
  parentPort?.on('message', async (message) => parentPort?.postMessage(await answer(message as never)));
}
