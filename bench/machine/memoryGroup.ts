import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const REMOVE_ATTEMPTS = 100;
const REMOVE_AGAIN_MS = 50;

/** A control group whose processes are killed once they have taken so much memory together. */
export interface MemoryGroup extends AsyncDisposable {
  /** Whoever writes their process's number into it is in. */
  readonly procsFile: string;
  /** The most that was taken so far, in bytes, with what the kernel keeps of files. */
  peakBytes(): number;
}

interface Place {
  readonly directory: string;
  readonly limit: string;
  readonly peak: string;
}

/** Makes a group of that limit, below or beside the own one; undefined where that cannot be (it takes root, mostly). */
export function memoryGroup(limitBytes: number): MemoryGroup | undefined {
  for (const { directory: parent, limit, peak } of places()) {
    const directory = join(parent, `gateway-memory-${process.pid}-${limitBytes}`);
    try {
      mkdirSync(directory);
      writeFileSync(join(directory, limit), String(limitBytes));
    } catch {
      if (existsSync(directory)) rmdirSync(directory);
      continue;
    }
    return {
      procsFile: join(directory, 'cgroup.procs'),
      peakBytes: () => Number(readFileSync(join(directory, peak), 'utf8')),
      [Symbol.asyncDispose]: () => remove(directory),
    };
  }
  return undefined;
}

function places(): Place[] {
  if (process.platform !== 'linux') return [];
  return readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n').flatMap(placesOf);
}

/** `4:memory:/path` of version 1; `0::/path` of version 2, where a group with processes has none with a limit below it. */
function placesOf(line: string): Place[] {
  const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
  if (controllers.split(',').includes('memory')) {
    const files = { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes' };
    return [{ directory: join('/sys/fs/cgroup/memory', path), ...files }];
  }
  if (controllers !== '') return [];
  const own = join('/sys/fs/cgroup', path);
  return [own, dirname(own)].map((directory) => ({ directory, limit: 'memory.max', peak: 'memory.peak' }));
}

/** The kernel takes a moment to let go of the last process. */
async function remove(directory: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      if (attempt === REMOVE_ATTEMPTS) throw error;
      await sleep(REMOVE_AGAIN_MS);
    }
  }
}

/** A command that is run in the group: what a process has before it enters does not count. */
export function commandIn(
  { procsFile }: Pick<MemoryGroup, 'procsFile'>,
  command: readonly string[],
): string[] {
  return ['/bin/sh', '-c', 'echo $$ > "$0" && exec "$@"', procsFile, ...command];
}
