const KIB = 1024;
const MIB = 1024 * KIB;

/** What a gateway takes under load before it keeps anything for anybody, by measurement (docs/sizing.md). */
const OWN_BYTES = 88 * MIB;
/** What Redis's client adds to that. */
const REDIS_BYTES = 12 * MIB;
/** With WORKERS above 1: the main thread, which takes no requests, and each worker beside it. */
const MAIN_THREAD_BYTES = 75 * MIB;
const WORKER_BYTES = 75 * MIB;

/** A connection that has carried a request, by measurement; TLS keeps its keys and buffers outside of V8's heap. */
const CONNECTION_BYTES = 20 * KIB;
const TLS_CONNECTION_BYTES = 64 * KIB;

/** What is spared of the rest for each use. What is left of it is what V8 has not collected yet. */
const SHARE = { connections: 0.4, cache: 0.25, remembered: 0.125, gathering: 0.125 } as const;
/** The part of the limit that V8's heap should have at most, and that part with its buffers. The rest is outside of V8. */
const HEAP_SHARE = 0.45;
const HELD_SHARE = 0.5;

/** Of the default of `CACHE_MAX_BYTES`. */
export const MOST_CACHE_BYTES = 64 * MIB;

/** What holds without a limit, and at most with one. */
const MOST = {
  connections: 20_000,
  cacheBytes: MOST_CACHE_BYTES,
  rememberedBytes: 32 * MIB,
  gatheringBytes: 64 * MIB,
  collectEveryBytes: 16 * MIB,
} as const;
/** Too little to work well with; a warning says that the limit is too low. */
const LEAST = {
  connections: 100,
  cacheBytes: MIB,
  rememberedBytes: MIB,
  gatheringBytes: MIB,
  collectEveryBytes: 2 * MIB,
} as const;

/** What decides how memory is shared out. */
export interface MemoryNeeds {
  /** Undefined: nobody limits it. */
  readonly limitBytes: number | undefined;
  readonly workers: number;
  readonly hasRedis: boolean;
  readonly hasTls: boolean;
  /** The cache has room for one response at least. */
  readonly cacheMaxEntryBytes: number;
}

/** How the memory that there is is shared out, in bytes, where the operator says nothing else. */
export interface MemoryPlan {
  /** Undefined: nobody limits it, and every default is as large as it gets. */
  readonly limitBytes: number | undefined;
  /** What the gateway takes under load before it keeps anything. */
  readonly ownBytes: number;
  readonly connectionBytes: number;
  /** What the heap of each thread should be limited to; undefined: V8 decides. */
  readonly heapBytes: number | undefined;
  /** Of each thread: its heap and buffers together, past which all of them are collected; undefined: V8 decides. */
  readonly mostHeldBytes: number | undefined;
  /** Default of `CACHE_MAX_BYTES`. */
  readonly cacheBytes: number;
  /** Default of `MAX_CONNECTIONS`. */
  readonly connections: number;
  /** Of each thread, for each of: verified tokens, tokens read from Redis, responses read from Redis, rate limits. */
  readonly rememberedBytes: number;
  /** Of each thread, for responses on their way into the cache. */
  readonly gatheringBytes: number;
  /** Content that may pass before its spent buffers are collected. */
  readonly collectEveryBytes: number;
}

/** Shares out what is left of the limit once the gateway itself has what it takes. */
export function planMemory(needs: Readonly<MemoryNeeds>): MemoryPlan {
  const { limitBytes, workers, hasRedis, hasTls, cacheMaxEntryBytes } = needs;
  const ownBytes = ownBytesOf(needs);
  const connectionBytes = hasTls ? TLS_CONNECTION_BYTES : CONNECTION_BYTES;
  const base = { limitBytes, ownBytes, connectionBytes };
  if (limitBytes === undefined) {
    return { ...base, ...MOST, heapBytes: undefined, mostHeldBytes: undefined };
  }
  const freeBytes = Math.max(0, limitBytes - ownBytes);
  const perThread = (share: number) => Math.floor((freeBytes * share) / workers);
  const threads = workers === 1 ? 1 : workers + 1;
  // In Redis the cache takes nothing of this process.
  const cacheBytes = hasRedis
    ? MOST.cacheBytes
    : between(LEAST.cacheBytes, freeBytes * SHARE.cache, MOST.cacheBytes);
  return {
    ...base,
    heapBytes: Math.floor((limitBytes * HEAP_SHARE) / threads),
    mostHeldBytes: Math.floor((limitBytes * HELD_SHARE) / threads),
    cacheBytes: Math.max(cacheBytes, cacheMaxEntryBytes),
    connections: between(
      LEAST.connections,
      (freeBytes * SHARE.connections) / connectionBytes,
      MOST.connections,
    ),
    rememberedBytes: between(LEAST.rememberedBytes, perThread(SHARE.remembered), MOST.rememberedBytes),
    gatheringBytes: between(
      Math.max(LEAST.gatheringBytes, cacheMaxEntryBytes),
      perThread(SHARE.gathering),
      MOST.gatheringBytes,
    ),
    collectEveryBytes: between(LEAST.collectEveryBytes, perThread(SHARE.gathering), MOST.collectEveryBytes),
  };
}

function ownBytesOf({ workers, hasRedis }: Readonly<MemoryNeeds>): number {
  const threads = workers === 1 ? OWN_BYTES : MAIN_THREAD_BYTES + workers * WORKER_BYTES;
  return threads + (hasRedis ? workers * REDIS_BYTES : 0);
}

function between(least: number, wanted: number, most: number): number {
  return Math.floor(Math.max(least, Math.min(wanted, most)));
}
