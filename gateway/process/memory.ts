import type { Settings } from '../../config/config.ts';
import { inMib } from '../../config/kinds/bytes.ts';
import type { MemoryPlan } from '../../config/sections/memoryPlan.ts';
import { type Collect, type SpentBuffers, spentBuffers } from './spentBuffers.ts';

const LOOK_EVERY_MS = 1_000;
/** V8's limit counts its space for young objects as well. */
const MOST_HEAP_SHARE = 0.6;

/**
 * Has V8 collect this thread's garbage as early as the plan wants it. Gives what is to be told of all content
 * that passes, and of what is shared with other threads.
 *
 * @param collect default: a collector of this thread's own
 */
export function keepWithin(plan: MemoryPlan, collect?: Collect): SpentBuffers {
  const buffers = spentBuffers({
    ...(collect && { collect }),
    everyBytes: plan.collectEveryBytes,
    mostHeldBytes: plan.mostHeldBytes,
  });
  // Requests without content leave garbage behind as well.
  if (plan.mostHeldBytes !== undefined) setInterval(buffers.look, LOOK_EVERY_MS).unref();
  return buffers;
}

/** What the gateway makes of the memory that there is, for the log. */
export function memoryLine(settings: Settings, heapLimitBytes: number): string {
  const { memory, redisUrl, redisNodes, cacheMaxBytes, maxConnections } = settings;
  const limit = memory.limitBytes === undefined ? 'no limit' : `limit ${inMib(memory.limitBytes)}`;
  const place = redisUrl === undefined && redisNodes.length === 0 ? '' : ' in Redis';
  const connections = maxConnections === 0 ? 'any number of' : maxConnections;
  return (
    `Memory: ${limit}, V8's heap up to ${inMib(heapLimitBytes)}, cache up to ${inMib(cacheMaxBytes)}${place}, ` +
    `${connections} connections on each port`
  );
}

/** What an operator should know of V8's own limit; undefined when it fits. */
export function heapAdvice(plan: MemoryPlan, heapLimitBytes: number): string | undefined {
  const { limitBytes, heapBytes } = plan;
  if (limitBytes === undefined || heapBytes === undefined) return undefined;
  if (heapLimitBytes <= limitBytes * MOST_HEAP_SHARE) return undefined;
  return (
    `V8 may let its heap grow to ${inMib(heapLimitBytes)}, and the memory limit is ${inMib(limitBytes)}: set ` +
    `NODE_OPTIONS=--max-old-space-size=${Math.floor(heapBytes / 2 ** 20)}`
  );
}
