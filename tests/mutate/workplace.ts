import { type ChildProcess, fork } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './related.ts';
import type { TestOutcome } from './worker.ts';

/** What a test may read. Not copied: packages, and what is made by running things. */
const COPIED = ['bench', 'config', 'deploy', 'docs', 'gateway', 'lib', 'monitoring', 'playground', 'tests'];
const COPIED_FILES = ['jest.config.ts', 'package.json', 'package-lock.json', 'tsconfig.json', 'README.md'];
/** Jest keeps more of each run than it should. */
const RUNS_PER_PROCESS = 40;

/** How tests went: `timeout` when they had not ended in time, which a fault may well cause. */
export type Verdict = TestOutcome | 'timeout' | 'ended';

/** A copy of the project, and a process in which Jest stays loaded. One run at a time. */
export class Workplace implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'gateway-mutate-'));
  readonly #redisUrl: string;
  #child: ChildProcess | undefined;
  #runs = 0;

  /** Tests that need a Redis use the one at `redisUrl`. */
  constructor(redisUrl: string) {
    this.#redisUrl = redisUrl;
    for (const name of [...COPIED, ...COPIED_FILES]) {
      const from = join(ROOT, name);
      if (existsSync(from)) {
        cpSync(from, join(this.#directory, name), {
          recursive: true,
          filter: (path) => !path.includes('/node_modules'),
        });
      }
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#directory, 'node_modules'));
  }

  /** Puts this text into a file of the copy. */
  write(file: string, text: string): void {
    writeFileSync(join(this.#directory, file), text);
  }

  /** Runs test files on the copy as it is, until the first one fails or the time is over. */
  async run(files: readonly string[], timeoutMs: number): Promise<Verdict> {
    this.#runs += 1;
    if (this.#runs % RUNS_PER_PROCESS === 0) this.#end();
    this.#child ??= this.#start();
    const verdict = await outcomeOf(this.#child, files, timeoutMs);
    if (typeof verdict === 'string') this.#end();
    return verdict;
  }

  [Symbol.dispose](): void {
    this.#end();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #start(): ChildProcess {
    return fork(join(this.#directory, 'tests/mutate/worker.ts'), {
      cwd: this.#directory,
      env: { ...process.env, TEST_REDIS_URL: this.#redisUrl, TMPDIR: this.#directory },
      execArgv: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // A process group of its own: what a test has started ends with it.
      detached: true,
    });
  }

  #end(): void {
    const { pid } = this.#child ?? {};
    this.#child = undefined;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

async function outcomeOf(child: ChildProcess, files: readonly string[], timeoutMs: number): Promise<Verdict> {
  const { promise, resolve } = Promise.withResolvers<Verdict>();
  const ended = () => resolve('ended');
  const timer = setTimeout(() => resolve('timeout'), timeoutMs);
  child.once('message', resolve).once('exit', ended);
  child.send({ files }, (error) => error && ended());
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', resolve).off('exit', ended);
  }
}
