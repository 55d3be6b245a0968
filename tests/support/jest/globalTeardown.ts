import { readFileSync, rmSync } from 'node:fs';

/** Stops what globalSetup has started. Fails the run when any process of the gateway has printed a secret. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.sharedRedis?.stop();
  const leaks = readFileSync(process.env.TEST_LEAKS_FILE as string, 'utf8');
  rmSync(globalThis.temporaryDirectory as string, { recursive: true, force: true });
  if (leaks) throw new Error(`secrets were printed:\n${leaks}`);
}
