import { readFileSync } from 'node:fs';

/**
 * Resident memory of a process, now or at its most, in bytes. Of its own program alone: what `getrusage` tells begins with
 * what its parent had when it was made. `RssAnon` is without what is only read from files, which a container's limit does not
 * hold against it in the end.
 */
export function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  // Linux tells it in kB, by which it means KiB.
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}
