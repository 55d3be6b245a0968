/**
 * Loaded beside the gateway, this answers its parent over the IPC channel what the process holds: timers are seen nowhere
 * from outside, and those that let the process end are in no list of Node's.
 */
import { createHook } from 'node:async_hooks';

export interface Holdings {
  readonly heapBytes: number;
  readonly timers: number;
}

const timers = new Set<number>();

createHook({
  init: (id, type) => void (type === 'Timeout' && timers.add(id)),
  destroy: (id) => void timers.delete(id),
}).enable();

process.on('message', (message) => {
  if (message !== 'holdings') return;
  // There with --expose-gc.
  globalThis.gc?.();
  const holdings: Holdings = { heapBytes: process.memoryUsage().heapUsed, timers: timers.size };
  process.send?.(holdings);
});
// The listener alone would keep a process alive that has nothing left to do.
process.channel?.unref();
