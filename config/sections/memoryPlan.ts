const KIB = 1024;
const MIB = 1024 * KIB;

/** Memory of a gateway under load that has stored nothing yet, as measured (docs/sizing.md). */
const OWN_BYTES = 88 * MIB;
/** What the Redis client adds to that. */
const REDIS_BYTES = 12 * MIB;
/** With several workers: memory of the main thread, which serves no requests, and of each worker. */
const MAIN_THREAD_BYTES = 75 * MIB;
const WORKER_BYTES = 75 * MIB;

/** Memory of a connection after a request, as measured. TLS keeps its keys and buffers outside of V8's heap. */
const CONNECTION_BYTES = 20 * KIB;
const TLS_CONNECTION_BYTES = 64 * KIB;

/** The shares of the remaining memory for each use. The rest is for objects that V8 has not collected yet. */
const SHARE = { connections: 0.4, cache: 0.25, remembered: 0.125, gathering: 0.125 } as const;
/** The largest shares of the limit for V8's heap, and for the heap with its buffers. The rest is used outside of V8. */
const HEAP_SHARE = 0.45;
const HELD_SHARE = 0.5;

/** The largest default of `CACHE_MAX_BYTES`. */
export const MOST_CACHE_BYTES = 64 * MIB;

/** The values without a limit, which are the largest ones with a limit. */
const MOST = {
  connections: 20_000,
  cacheBytes: MOST_CACHE_BYTES,
  rememberedBytes: 32 * MIB,
  gatheringBytes: 64 * MIB,
  collectEveryBytes: 16 * MIB,
} as const;
/** The smallest values. With these the gateway does not work well, and warns that the limit is too low. */
const LEAST = {
  connections: 100,
  cacheBytes: MIB,
  rememberedBytes: MIB,
  gatheringBytes: MIB,
  collectEveryBytes: 2 * MIB,
} as const;

/** What the division of memory depends on. */
export interface MemoryNeeds {
  /** Undefined: there is no limit. */
  readonly limitBytes: number | undefined;
  readonly workers: number;
  readonly hasRedis: boolean;
  readonly hasTls: boolean;
  /** The cache gets room for at least one response of this size. */
  readonly cacheMaxEntryBytes: number;
}

/** How the available memory is divided, in bytes. Settings of the operator take precedence. */
export interface MemoryPlan {
  /** Undefined: there is no limit, and every default has its largest value. */
  readonly limitBytes: number | undefined;
  /** Memory of the gateway under load that has stored nothing yet. */
  readonly ownBytes: number;
  readonly connectionBytes: number;
  /** The limit for each thread's heap; undefined: V8 decides. */
  readonly heapBytes: number | undefined;
  /** When a thread's heap and buffers together exceed this, everything is collected; undefined: V8 decides. */
  readonly mostHeldBytes: number | undefined;
  /** Default of `CACHE_MAX_BYTES`. */
  readonly cacheBytes: number;
  /** Default of `MAX_CONNECTIONS`. */
  readonly connections: number;
  /** For each thread and each of: verified tokens, tokens read from Redis, responses read from Redis, rate limits. */
  readonly rememberedBytes: number;
  /** For each thread: responses that are being collected for the cache. */
  readonly gatheringBytes: number;
  /** How much content may pass before the buffers that it leaves behind are collected. */
  readonly collectEveryBytes: number;
}

/** Divides what is left of the limit after the gateway's own memory. */
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
  // A cache in Redis takes no memory of this process.
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
