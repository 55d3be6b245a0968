import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const ROOT = new URL('../../..', import.meta.url);

/** A bash that keeps its variables from one command to the next, as a person's does. */
export class Shell {
  readonly #bash = spawn('bash', ['-s'], {
    cwd: ROOT,
    // Said outright: what a test sets is in a copy of Jest's.
    env: process.env,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  #output = '';
  #count = 0;

  constructor() {
    this.#bash.stdout.setEncoding('utf8').on('data', (text) => {
      this.#output += text;
    });
  }

  /** Runs the commands and resolves to what they printed. */
  async type(commands: string): Promise<string> {
    this.#count += 1;
    const mark = `--- end of command ${this.#count} ---`;
    this.#output = '';
    this.#bash.stdin.write(`${commands}\necho\necho '${mark}'\n`);
    while (!this.#output.includes(mark)) await once(this.#bash.stdout, 'data');
    return this.#output.slice(0, this.#output.indexOf(`\n${mark}`));
  }

  close(): void {
    this.#bash.kill();
  }
}

/** Starts what a reader types in a terminal of its own and resolves once it prints `ready`. */
export async function startInTerminal(command: string, ready: string): Promise<Terminal> {
  // A process group of its own, so that Ctrl-C reaches everything in it and nothing else.
  const child = spawn('bash', ['-c', command], {
    cwd: ROOT,
    env: process.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const exited = once(child, 'exit');
  await new Promise<void>((resolve, reject) => {
    const read = (text: Buffer) => {
      printed += text;
      if (printed.includes(ready)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    exited.then(([code]) => reject(new Error(`${command} ended with ${code}:\n${printed}`)));
  });
  return { ctrlC: () => interrupt(child, exited), printed: () => printed };
}

export interface Terminal {
  /** Presses Ctrl-C, and closes the terminal when the command has ended: that ends what runs behind it. */
  ctrlC(): Promise<void>;
  printed(): string;
}

async function interrupt(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode === null) process.kill(-child.pid, 'SIGINT');
  await exited;
  hangUp(child.pid);
}

/** What closing a terminal does to all that was started in it. */
function hangUp(group: number): void {
  try {
    process.kill(-group, 'SIGHUP');
  } catch {
    // Nothing of it is left.
  }
}
