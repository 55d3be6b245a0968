// Loaded beside every test file. What must not have been printed fails the run in globalTeardown: a process may well
// print it as it ends, behind the last hook of its file.
import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { watchPrinted } from './printed.ts';

const { testPath } = expect.getState();
let end = () => {};

// Jest runs neither hook of a file whose tests are all skipped: a watch begun outside of them would never end.
beforeAll(() => {
  end = watchPrinted((leak) => {
    appendFileSync(process.env.TEST_LEAKS_FILE as string, `${testPath}: ${leak}\n`);
  });
});
afterAll(() => end());

/** Ends the watch over this file's processes. */
export const unwatch = () => end();
