import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECT_EVERY_BYTES = 16 * 2 ** 20;

/**
 * Told of all content that passes, this has V8 free the buffers that it leaves behind.
 *
 * Every read of a socket takes a buffer of 64 KiB. V8 sees little more than the small objects that hold them and
 * lets 60 to 90 MiB pile up before it collects everything there is. Told in time, it frees them in a collection
 * of young objects: a download of 1 GiB then grows the process by 30 MiB instead of 90, and takes a quarter less
 * time. Requests with little content never notice.
 */
export function spentBuffers(collect: () => void = youngCollection()): (bytes: number) => void {
  let passedBytes = 0;
  return (bytes) => {
    passedBytes += bytes;
    if (passedBytes < COLLECT_EVERY_BYTES) return;
    passedBytes = 0;
    collect();
  };
}

/** V8 hands its collector only to contexts that begin with the flag set. */
function youngCollection(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: NodeJS.GCFunction = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return () => void collect({ type: 'minor' });
}

/**
 * The flag is the whole process's: threads that set and unset it, each for its own context, would be in each other's
 * way. So the main thread sets it before it starts any.
 */
export function exposeCollector(): void {
  setFlagsFromString('--expose-gc');
}

/** The same as `youngCollection` in a thread that was started after `exposeCollector`. */
export function exposedYoungCollection(): () => void {
  const { gc: collect } = globalThis;
  return () => void collect?.({ type: 'minor' });
}
