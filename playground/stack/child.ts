import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Instruction, isMessage, type PlaygroundMessage } from '../messages.ts';
import { freeze, type Thaw } from './freeze.ts';

const LAST_LINES_KEPT = 15;
/** Node keeps here what it has compiled: the processes load the same modules, at every start. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/playground', import.meta.url));

export interface ChildOptions {
  /** How people call it: `gateway`, `registry`, `budgeting.2`. */
  readonly name: string;
  /** The module it runs. */
  readonly module: URL;
  readonly args?: readonly string[];
  /** Options for Node itself. */
  readonly execArgv?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Where it runs. Default: where the playground does. */
  readonly cwd?: string | undefined;
  /** Called for each line it writes to either output. */
  readonly onLine: (line: string) => void;
}

/** How a process ended: by a code of its own, killed by a signal, or, with neither, before it began. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child ended although it was still needed. */
export class ChildDiedError extends Error {
  override readonly name = 'ChildDiedError';
  readonly child: Child;

  constructor(child: Child, exit: Exit) {
    super(`${child.name} ${describeExit(exit)}`);
    this.child = child;
  }
}

/** A process of the playground, on an IPC channel: its module imports `lifeline.ts` to end with the playground. */
export class Child {
  readonly name: string;
  /** Settles once the process has ended and all it wrote was seen. */
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #lastLines: string[] = [];
  #thaw: Thaw | undefined;
  #isDismissed = false;
  #exit: Exit | undefined;

  constructor({ name, module, args = [], execArgv = [], env, cwd, onLine }: ChildOptions) {
    this.name = name;
    this.#process = fork(module, [...args], {
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
      execArgv: [...execArgv],
      cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Its own process group: Ctrl-C in a terminal reaches the playground alone, which then stops all in order.
      detached: true,
    });
    this.exited = exitOf(this.#process);
    void this.exited.then((exit) => {
      this.#exit = exit;
      return this.thaw();
    });
    for (const output of [this.#process.stdout, this.#process.stderr]) this.#follow(output, onLine);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** How it ended, if it has. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** What it wrote last, oldest first, without blank lines. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** The port it listens on, once it says so. Rejects with `ChildDiedError` if it ends first. */
  async listening(): Promise<number> {
    return (await this.#said('listening')).port;
  }

  /** Tells a replica something; resolves when that is done. Rejects with `ChildDiedError` if it ends first. */
  async tell(instruction: Instruction): Promise<void> {
    const done = this.#said('done');
    // One that cannot be told any more is about to end, which `done` rejects with.
    this.#process.send(instruction, () => {});
    await done;
  }

  /** Halts it, until it is thawed or the playground ends. */
  async freeze(): Promise<void> {
    this.#thaw = await freeze(this.pid);
  }

  /** Lets it go on, if it is frozen. */
  async thaw(): Promise<void> {
    await this.#thaw?.();
    this.#thaw = undefined;
  }

  /** From here on its end is no failure. */
  dismiss(): void {
    this.#isDismissed = true;
  }

  get isDismissed(): boolean {
    return this.#isDismissed;
  }

  /** Never resolves; rejects with `ChildDiedError` when the process ends. */
  async died(): Promise<never> {
    throw new ChildDiedError(this, await this.exited);
  }

  /** Asks it to end, and insists after `graceMs`. Resolves when it has ended. */
  async stop(graceMs: number): Promise<void> {
    this.dismiss();
    this.#process.kill('SIGTERM');
    const insist = setTimeout(() => this.kill(), graceMs);
    await this.exited;
    clearTimeout(insist);
  }

  /** Ends it at once. */
  kill(): void {
    this.dismiss();
    this.#process.kill('SIGKILL');
  }

  /** The next message of this type. Rejects with `ChildDiedError` if it ends first. */
  async #said<T extends PlaygroundMessage['type']>(
    type: T,
  ): Promise<Extract<PlaygroundMessage, { type: T }>> {
    const said = Promise.withResolvers<Extract<PlaygroundMessage, { type: T }>>();
    const onMessage = (message: unknown) => {
      if (isMessage(type, message)) said.resolve(message);
    };
    this.#process.on('message', onMessage);
    try {
      return await Promise.race([said.promise, this.died()]);
    } finally {
      this.#process.off('message', onMessage);
    }
  }

  #follow(output: Readable | null, onLine: (line: string) => void): void {
    if (!output) return;
    createInterface({ input: output }).on('line', (line) => {
      if (line.trim() !== '') this.#lastLines.push(line);
      if (this.#lastLines.length > LAST_LINES_KEPT) this.#lastLines.shift();
      onLine(line);
    });
  }
}

/** For people, as in `ended with exit code 1`. */
export function describeExit({ code, signal }: Exit): string {
  if (signal) return `was killed by ${signal}`;
  return code === null ? 'could not be started' : `ended with exit code ${code}`;
}

function exitOf(process: ChildProcess): Promise<Exit> {
  const exited = Promise.withResolvers<Exit>();
  process.once('close', (code, signal) => exited.resolve({ code, signal }));
  process.once('error', () => {
    // A failed kill() is an 'error' too, but only a process that never came to be has no pid.
    if (process.pid === undefined) exited.resolve({ code: null, signal: null });
  });
  return exited.promise;
}
