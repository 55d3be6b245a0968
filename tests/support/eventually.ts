import { setTimeout as sleep } from 'node:timers/promises';

const POLL_EVERY_MS = 5;
/** Who waits for a process waits for seconds, and looking costs CPU that the process needs: the longer, the less often. */
const LEAST_OFTEN_MS = 50;
const PART_OF_WAITED = 1 / 50;

/**
 * Waits for something to become true: the first result of `check` that is neither false nor undefined.
 * Fails with what `check` last threw, or with `what`, after `withinMs`. It waits for an event, never for time.
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  withinMs = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const begunAt = performance.now();
  for (;;) {
    const { result, error } = await outcomeOf(check);
    if (result !== undefined && result !== false) return result as Exclude<T, false | undefined>;
    const waitedMs = performance.now() - begunAt;
    if (waitedMs >= withinMs) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: error });
    await sleep(Math.max(POLL_EVERY_MS, Math.min(waitedMs * PART_OF_WAITED, LEAST_OFTEN_MS)));
  }
}

async function outcomeOf<T>(check: () => T | Promise<T>): Promise<{ result?: T; error?: unknown }> {
  try {
    return { result: await check() };
  } catch (error) {
    return { error };
  }
}
