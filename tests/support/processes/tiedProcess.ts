import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

// The shell outlives its parent just long enough to notice: its stdin closes with it, however it dies.
const DIE_WITH_PARENT = '"$@" & echo $!; exec 2>/dev/null; cat >/dev/null; kill -9 $!; wait $!';

/** A program that dies with this process, whatever that dies of. */
export class TiedProcess {
  /** The program's own process id. */
  readonly pid: number;
  readonly #shell: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(pid: number, shell: ChildProcessByStdio<Writable, Readable, null>) {
    this.pid = pid;
    this.#shell = shell;
  }

  /** Resolves once it has been started; what it writes to stdout is not kept. */
  static async start(command: string, args: readonly string[]): Promise<TiedProcess> {
    const shell = spawn('sh', ['-c', DIE_WITH_PARENT, 'sh', command, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = await once(shell.stdout, 'data');
    shell.stdout.resume();
    return new TiedProcess(Number.parseInt(line, 10), shell);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const exit = once(this.#shell, 'exit');
    this.#shell.stdin.end();
    await exit;
  }
}
