import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GATEWAY_EXEC_ARGV, GATEWAY_MODULE } from '../../playground/gateway.ts';
import { eventually } from './eventually.ts';
import { gatewayEnvironment, type TestGatewayOptions } from './gateway.ts';

export interface GatewayRunOptions {
  readonly services?: TestGatewayOptions['services'];
  /** On top of settings that work; `undefined` unsets one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Files of the working directory, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A `node gateway/main.ts` that is watched from its first moment to its last. */
export interface GatewayRun extends AsyncDisposable {
  readonly directory: string;
  readonly stdout: string;
  readonly stderr: string;
  /** The log lines so far. */
  readonly lines: Record<string, unknown>[];
  /** How it ended: its exit code or the signal that killed it; undefined while it runs. */
  readonly ending: number | NodeJS.Signals | undefined;
  /** Resolves to the origins of both ports once it listens; fails when it ends instead. */
  listening(): Promise<{ readonly external: string; readonly internal: string }>;
  /** Resolves to the first log line with this in its message. */
  line(text: string): Promise<Record<string, unknown>>;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has ended by itself. */
  ended(): Promise<number | NodeJS.Signals>;
}

/** Starts a gateway in an empty working directory. It is killed at the end if it still runs. */
export function runGateway({ services = {}, env = {}, files = {} }: GatewayRunOptions = {}): GatewayRun {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-run-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const working = gatewayEnvironment({ services }, directory);
  const child = fork(GATEWAY_MODULE, {
    cwd: directory,
    env: { PATH: process.env.PATH, LOG_FORMAT: 'json', ...working, ...env },
    execArgv: GATEWAY_EXEC_ARGV,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text) => {
      written[name] += text;
    });
  }
  // Not exit: what it wrote last comes after that.
  const closed = once(child, 'close').then(([code, signal]) => code ?? signal);

  const run: GatewayRun = {
    directory,
    get stdout() {
      return written.stdout;
    },
    get stderr() {
      return written.stderr;
    },
    get lines() {
      return written.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    },
    get ending() {
      return child.exitCode ?? child.signalCode ?? undefined;
    },
    async listening() {
      const { externalPort, internalPort } = await run.line('Gateway listening');
      return {
        external: `http://127.0.0.1:${externalPort}`,
        internal: `http://127.0.0.1:${internalPort}`,
      };
    },
    line: (text) =>
      eventually(`a log line with ${text}; there is ${written.stdout}${written.stderr}`, () =>
        run.lines.find(({ message }) => String(message).includes(text)),
      ),
    signal: (name) => void child.kill(name),
    ended: () => closed,
    async [Symbol.asyncDispose]() {
      if (run.ending === undefined) child.kill('SIGKILL');
      await closed;
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return run;
}
