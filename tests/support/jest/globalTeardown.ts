import { readFileSync, rmSync } from 'node:fs';

/** Stops what globalSetup has started. Fails the run when any process of the gateway has printed a secret. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.sharedRedis?.stop();
  const leaks = readFileSync(process.env.TEST_LEAKS_FILE as string, 'utf8');
  const { directory, before } = globalThis.temporaryFiles ?? {};
  if (directory) rmSync(directory, { recursive: true, force: true });
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  if (leaks) throw new Error(`secrets were printed:\n${leaks}`);
}
