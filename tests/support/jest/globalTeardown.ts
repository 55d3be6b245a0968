import { readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** Stops what globalSetup has started. Fails the run when any process of the gateway has printed a secret. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.sharedRedis?.stop();
  const file = process.env.TEST_LEAKS_FILE as string;
  const leaks = readFileSync(file, 'utf8');
  rmSync(dirname(file), { recursive: true });
  if (leaks) throw new Error(`secrets were printed:\n${leaks}`);
}
