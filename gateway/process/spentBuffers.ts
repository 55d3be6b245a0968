import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const COLLECT_EVERY_BYTES = 16 * 2 ** 20;

export type Collection = 'minor' | 'major';
export type Collect = (type: Collection) => void;

export interface SpentBuffersOptions {
  /** Default: V8's collector. */
  readonly collect?: Collect;
  /** Content that may pass between two collections of young objects, in bytes. Default 16 MiB. */
  readonly everyBytes?: number;
  /** Memory of V8's heap and its buffers together past which everything is collected. Default: no such bound. */
  readonly mostHeldBytes?: number | undefined;
  /** What V8's heap and its buffers take, in bytes. */
  readonly heldBytes?: () => number;
}

/** Has V8 collect in time. */
export interface SpentBuffers {
  /** Told of all content that passes, in bytes. */
  passed(bytes: number): void;
  /** Told of all memory that this thread shares with others from now on, in bytes. */
  shared(bytes: number): void;
  /** Looks whether more is held than may be; for whoever calls it now and then. */
  look(): void;
}

/**
 * Told of all content that passes, this has V8 free the buffers that it leaves behind.
 *
 * Every read of a socket takes a buffer of 64 KiB. V8 sees little more than the small objects that hold them and
 * lets 60 to 90 MiB pile up before it collects everything there is. Told in time, it frees them in a collection
 * of young objects: a download of 1 GiB then grows the process by 30 MiB instead of 90, and takes a quarter less
 * time. Requests with little content never notice.
 *
 * Where memory is limited V8 does not know how much of it is taken by what is outside of its heap: past `mostHeldBytes` it
 * is told to collect everything, and again only when as much has come as passes between two young collections.
 *
 * Memory that threads share V8 does not count at all: it frees it whenever it collects what refers to it, in every thread,
 * and nothing tells it to. So each thread collects everything once for every 16 MiB of it.
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

/** V8 hands its collector only to contexts that begin with the flag set. */
function ownCollector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: NodeJS.GCFunction = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return (type) => void collect({ type });
}

/**
 * The flag is the whole process's: threads that set and unset it, each for its own context, would be in each other's
 * way. So the main thread sets it before it starts any.
 */
export function exposeCollector(): void {
  setFlagsFromString('--expose-gc');
}

/** The same as `ownCollector` in a thread that was started after `exposeCollector`. */
export function exposedCollector(): Collect {
  const { gc: collect } = globalThis;
  return (type) => void collect?.({ type });
}
