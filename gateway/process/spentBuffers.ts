import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECT_EVERY_BYTES = 16 * 2 ** 20;

export type Collection = 'minor' | 'major';
export type Collect = (type: Collection) => void;

export interface SpentBuffersOptions {
  /** Runs a collection. Default: V8's. */
  readonly collect?: Collect;
  /** How much content may pass between two collections of young objects, in bytes. Default 16 MiB. */
  readonly everyBytes?: number;
  /** When V8's heap and buffers together take more than this, everything is collected. Default: no such bound. */
  readonly mostHeldBytes?: number | undefined;
  /** Returns how much V8's heap and its buffers take, in bytes. */
  readonly heldBytes?: () => number;
}

/** Makes V8 collect garbage in time. */
export interface SpentBuffers {
  /** To be called with the size of each piece of content, in bytes. */
  passed(bytes: number): void;
  /** To be called with the size of all memory that this thread begins to share with others, in bytes. */
  shared(bytes: number): void;
  /** Checks whether too much memory is in use. To be called now and then. */
  look(): void;
}

/**
 * Makes V8 free the buffers that passing content leaves behind.
 *
 * Each read of a socket takes a buffer of 64 KiB. V8 counts little more than the small objects that refer to the buffers, and
 * lets 60 to 90 MiB pile up before it collects everything. In time, a collection of young objects is enough: then a download of
 * 1 GiB grows the process by 30 MiB instead of 90, and takes a quarter less time. Requests with little content cause no
 * collections.
 *
 * With limited memory V8 does not know how much of it is used outside of its heap. So when more than `mostHeldBytes` is in use
 * everything is collected, and again only after as much content as between two collections of young objects.
 *
 * V8 does not count memory that threads share. It frees it when every thread has collected what refers to it, but has no reason
 * to collect. So each thread collects everything once for every 16 MiB of shared memory.
 */
export function spentBuffers({
  collect = ownCollector(),
  everyBytes = COLLECT_EVERY_BYTES,
  mostHeldBytes = Number.POSITIVE_INFINITY,
  heldBytes = heldByV8,
}: Readonly<SpentBuffersOptions> = {}): SpentBuffers {
  let passedBytes = 0;
  let sharedBytes = 0;
  let boundBytes = mostHeldBytes;
  const look = () => {
    if (mostHeldBytes === Number.POSITIVE_INFINITY || heldBytes() <= boundBytes) return;
    collect('major');
    boundBytes = Math.max(mostHeldBytes, heldBytes() + everyBytes);
  };
  return {
    passed(bytes) {
      passedBytes += bytes;
      if (passedBytes < everyBytes) return;
      passedBytes = 0;
      collect('minor');
      look();
    },
    shared(bytes) {
      sharedBytes += bytes;
      if (sharedBytes < COLLECT_EVERY_BYTES) return;
      sharedBytes = 0;
      collect('major');
    },
    look,
  };
}

function heldByV8(): number {
  const { total_heap_size: heapBytes, external_memory: bufferBytes } = getHeapStatistics();
  return heapBytes + bufferBytes;
}

/** Gets V8's collector, which only contexts created while the flag is set have. */
function ownCollector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: NodeJS.GCFunction = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return (type) => void collect({ type });
}

/**
 * Sets the flag for all threads. It applies to the whole process, so that threads which set and unset it for themselves would
 * disturb each other. The main thread calls this before it starts any thread.
 */
export function exposeCollector(): void {
  setFlagsFromString('--expose-gc');
}

/** The same as `ownCollector` in a thread that was started after `exposeCollector`. */
export function exposedCollector(): Collect {
  const { gc: collect } = globalThis;
  return (type) => void collect?.({ type });
}
