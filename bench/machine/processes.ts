import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 5;
const STOP_WITHIN_MS = 5_000;
const LAST_CHARACTERS_KEPT = 2_000;

export interface ProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The core to stay on; any when left out. */
  readonly core: number | string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A process of the bench. It ends with the bench at the latest. */
export class BenchProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #endWithUs = () => void this.#child.kill('SIGKILL');
  #lastWords = '';
  #output = '';

  constructor({ name, command, args, core, env = {}, cwd }: Readonly<ProcessOptions>) {
    this.name = name;
    const pinned =
      core === undefined ? [command, ...args] : ['taskset', '-c', String(core), command, ...args];
    const [program = command, ...rest] = pinned;
    this.#child = spawn(program, rest, {
      env: { PATH: process.env.PATH, ...env },
      cwd,
      // A gateway's log lines are read as any collector would; the load generator's are its figures.
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_CHARACTERS_KEPT);
    });
    this.#child.stdout?.on('data', (text: Buffer) => {
      this.#output = (this.#output + text).slice(-LAST_CHARACTERS_KEPT);
    });
    process.once('exit', this.#endWithUs);
    this.#child.once('exit', () => process.off('exit', this.#endWithUs));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The end of its standard output. Rejects when it ends otherwise than with 0. */
  async output(): Promise<string> {
    if (!this.ended) await once(this.#child, 'close');
    if (this.#child.exitCode !== 0) throw this.#failure();
    return this.#output;
  }

  /** Resolves to a line of what it prints, the first one being 1. For those that print little. */
  async line(number = 1): Promise<string> {
    for (;;) {
      const lines = this.#output.split('\n');
      if (lines.length > number) return lines[number - 1] as string;
      if (this.ended) throw this.#failure();
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Tells it to go on. */
  signal(): void {
    this.#child.kill('SIGUSR2');
  }

  /** Resolves once it accepts connections. */
  async listening(port: number): Promise<void> {
    const giveUpAtMs = performance.now() + READY_WITHIN_MS;
    while (!(await accepts(port))) {
      if (this.ended || performance.now() > giveUpAtMs) throw this.#failure();
      await sleep(LOOK_EVERY_MS);
    }
  }

  async stop(): Promise<void> {
    if (this.ended) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exited;
    clearTimeout(insist);
  }

  #failure(): Error {
    const said = `${this.#output}\n${this.#lastWords}`.trim();
    return new Error(
      `${this.name} ${this.ended ? 'ended early' : 'does not listen'}: ${said || 'it said nothing'}`,
    );
  }
}

/** A port of 127.0.0.1 that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('a server without an address');
  return address.port;
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
