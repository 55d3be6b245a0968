import { totalmem } from 'node:os';

/** The memory of the system, in bytes. */
export interface Machine {
  /**
   * The limit of the control group (a container's, systemd's `MemoryMax`) as Node reads it; 0 or a huge number: none.
   */
  readonly constrainedBytes: number;
  /** All memory that there is. */
  readonly totalBytes: number;
}

/** Node reads `memory.max` and `memory.high` of cgroup v2 and `memory.limit_in_bytes` of v1. */
export function thisMachine(): Machine {
  return { constrainedBytes: process.constrainedMemory(), totalBytes: totalmem() };
}

/**
 * The limit beyond which the system kills this process, in bytes; undefined when there is only the machine's own
 * memory.
 */
export function memoryLimitOf({ constrainedBytes, totalBytes }: Machine): number | undefined {
  return constrainedBytes > 0 && constrainedBytes < totalBytes ? constrainedBytes : undefined;
}
