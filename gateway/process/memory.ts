import type { Settings } from '../../config/config.ts';
import { inMib } from '../../config/kinds/bytes.ts';
import type { MemoryPlan } from '../../config/sections/memoryPlan.ts';
import { type Collect, type SpentBuffers, spentBuffers } from './spentBuffers.ts';

const LOOK_EVERY_MS = 1_000;
/** V8's limit includes its space for young objects. */
const MOST_HEAP_SHARE = 0.6;

/**
 * Makes V8 collect this thread's garbage as early as the plan demands. The returned object must be told of all content that
 * passes and of all memory shared with other threads.
 *
 * @param collect default: this thread's own collector
 */
export function keepWithin(plan: MemoryPlan, collect?: Collect): SpentBuffers {
  const buffers = spentBuffers({
    ...(collect && { collect }),
    everyBytes: plan.collectEveryBytes,
    mostHeldBytes: plan.mostHeldBytes,
  });
  // Checked regularly too, because requests without content also leave garbage.
  if (plan.mostHeldBytes !== undefined) setInterval(buffers.look, LOOK_EVERY_MS).unref();
  return buffers;
}

/** A log line about how the gateway divides the available memory. */
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

/** Advice for the operator about V8's own limit; undefined when that fits. */
export function heapAdvice(plan: MemoryPlan, heapLimitBytes: number): string | undefined {
  const { limitBytes, heapBytes } = plan;
  if (limitBytes === undefined || heapBytes === undefined) return undefined;
  if (heapLimitBytes <= limitBytes * MOST_HEAP_SHARE) return undefined;
  return (
    `V8 may let its heap grow to ${inMib(heapLimitBytes)}, and the memory limit is ${inMib(limitBytes)}: set ` +
    `NODE_OPTIONS=--max-old-space-size=${Math.floor(heapBytes / 2 ** 20)}`
  );
}
