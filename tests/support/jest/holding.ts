import { afterEach } from '@jest/globals';

type Held = AsyncDisposable | Disposable;

/**
 * Returns what keeps the things that a test starts, and ends them after the test, the latest first. To be called once in a file,
 * outside of its tests.
 */
export function holding(): <T extends Held>(starting: T | Promise<T>) => Promise<T> {
  const open: Held[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).toReversed())
      await (Symbol.asyncDispose in each ? each[Symbol.asyncDispose]() : each[Symbol.dispose]());
  });
  return async (starting) => {
    const started = await starting;
    open.push(started);
    return started;
  };
}
