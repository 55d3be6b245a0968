import { setTimeout as sleep } from 'node:timers/promises';

const POLL_EVERY_MS = 5;

/**
 * Waits for something to become true: the first result of `check` that is neither false nor undefined.
 * Fails with what `check` last threw, or with `what`, after `withinMs`. It waits for an event, never for time.
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  withinMs = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const { result, error } = await outcomeOf(check);
    if (result !== undefined && result !== false) return result as Exclude<T, false | undefined>;
    if (performance.now() >= giveUpAt)
      throw new Error(`not within ${withinMs} ms: ${what}`, { cause: error });
    await sleep(POLL_EVERY_MS);
  }
}

async function outcomeOf<T>(check: () => T | Promise<T>): Promise<{ result?: T; error?: unknown }> {
  try {
    return { result: await check() };
  } catch (error) {
    return { error };
  }
}
