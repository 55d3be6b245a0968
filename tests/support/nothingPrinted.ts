// Loaded beside every test file. What must not have been printed fails the run in globalTeardown: a process may well
// print it as it ends, behind the last hook of its file.
import { appendFileSync } from 'node:fs';
import { afterAll, expect } from '@jest/globals';
import { watchPrinted } from './printed.ts';

const { testPath } = expect.getState();

/** Ends the watch over this file's processes. */
export const unwatch = watchPrinted((leak) => {
  appendFileSync(process.env.TEST_LEAKS_FILE as string, `${testPath}: ${leak}\n`);
});

afterAll(unwatch);
