import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { command } from '../../../playground/control/client.ts';
import type { ProcessStatus } from '../../../playground/control/protocol.ts';
import { socketPathOf } from '../../../playground/control/sockets.ts';
import { isMessage, type PlaygroundUrls } from '../../../playground/messages.ts';

const MAIN = new URL('../../../playground/main.ts', import.meta.url);
const CONTROL_MAIN = new URL('../../../playground/control/main.ts', import.meta.url);
const FREE_PORTS = ['base', 'registry', 'external', 'internal', 'page'].map((name) => `--${name}-port=0`);

export interface TestPlayground {
  readonly urls: PlaygroundUrls;
  /** Process ids at the start by child name: `gateway`, `registry`, `budgeting.1`, ... */
  readonly pids: Readonly<Record<string, number>>;
  /** The playground's own process id. */
  readonly pid: number;
  /** All it has written so far, its children's lines included. */
  output(): string;
  /**
   * What `npm run playground:ctl` does, as in `ctl('freeze', 'budgeting.2')`. Resolves, once it is in force, with
   * those it was about, or with everything for `list`; rejects with `CommandError` when it was not carried out.
   */
  ctl(...words: string[]): Promise<readonly ProcessStatus[]>;
  /** Sends a signal, SIGTERM unless told, and resolves with the exit code: null when the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** The exit code, once it has ended by itself or otherwise. */
  readonly exited: Promise<number | null>;
}

/** Where and as whom a playground is started. */
export interface PlaygroundPlace {
  readonly cwd?: string;
}

export interface EndedRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the playground on free ports, unless `flags` say otherwise, and resolves when it is ready. */
export async function startPlayground(
  flags: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
  { cwd }: PlaygroundPlace = {},
): Promise<TestPlayground> {
  const child = forkMain([...FREE_PORTS, ...flags], env, cwd);
  const written: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => written.push(String(chunk)));
  const output = () => written.join('');
  const exited = exitCodeOf(child);
  const ready = await Promise.race([readyMessage(child), exited]);
  if (ready === null || typeof ready === 'number') {
    throw new Error(`the playground ended with ${ready} before it was ready:\n${output()}`);
  }
  return {
    urls: ready.urls,
    pids: ready.pids,
    pid: child.pid ?? 0,
    output,
    exited,
    async ctl(...words) {
      return command(await socketPathOf(Number(new URL(ready.urls.registry).port)), words);
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
}

/** Runs the playground with exactly these flags, for when it is expected to end by itself. */
export async function runPlayground(
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<EndedRun> {
  return ended(forkMain(flags, env));
}

/** Runs `npm run playground:ctl` with these words. */
export async function runCtl(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<EndedRun> {
  return ended(forkModule(CONTROL_MAIN, words, env));
}

/** The same, for one that gets a SIGTERM as soon as it has written `when`. */
export async function interruptPlayground(
  when: string,
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<EndedRun> {
  const child = forkMain(flags, env);
  createInterface({ input: outputsOf(child).stdout }).on('line', (line) => {
    if (line.startsWith(when)) child.kill('SIGTERM');
  });
  return ended(child);
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function forkMain(flags: readonly string[], env: NodeJS.ProcessEnv, cwd?: string): ChildProcess {
  return forkModule(MAIN, flags, env, cwd);
}

function forkModule(
  module: URL,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd?: string,
): ChildProcess {
  return fork(module, [...args], {
    cwd,
    // Jest asks its workers for colours, and for options that its own modules need.
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1', ...env },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A process group of its own, as in a shell: tests send it a Ctrl-C.
    detached: true,
  });
}

async function ended(child: ChildProcess): Promise<EndedRun> {
  const { stdout, stderr } = outputsOf(child);
  const [exitCode, out, err] = await Promise.all([exitCodeOf(child), text(stdout), text(stderr)]);
  return { exitCode, stdout: out, stderr: err };
}

function outputsOf({ stdout, stderr }: ChildProcess) {
  if (!stdout || !stderr) throw new Error('the playground has no output');
  return { stdout, stderr };
}

function readyMessage(child: ChildProcess) {
  const ready = Promise.withResolvers<{ urls: PlaygroundUrls; pids: Readonly<Record<string, number>> }>();
  child.on('message', (message: unknown) => {
    if (isMessage('ready', message)) ready.resolve(message);
  });
  return ready.promise;
}

function exitCodeOf(child: ChildProcess): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.once('close', resolve);
  return promise;
}
