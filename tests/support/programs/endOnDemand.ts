// Loaded beside a gateway: one of its worker threads ends when a file says so. The first thread to take the file away
// is the one, so that one file ends one thread.
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const LOOK_EVERY_MS = 5;
const directory = process.env.DATA_DIR ?? '';

/** How a thread may end, by the name of the file that asks for it. */
const ENDS: Readonly<Record<string, () => void>> = {
  'throw-now': () => {
    throw new Error('thrown on demand');
  },
  'exit-now': () => process.exit(3),
};

function isTaken(file: string): boolean {
  try {
    renameSync(join(directory, file), join(directory, `${file}.taken`));
    return true;
  } catch {
    return false;
  }
}

if (!isMainThread) {
  setInterval(() => {
    for (const [file, end] of Object.entries(ENDS)) if (isTaken(file)) end();
  }, LOOK_EVERY_MS).unref();
}
