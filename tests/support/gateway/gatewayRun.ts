import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../eventually.ts';
import { gatewayEnvironment, type TestGatewayOptions } from './gateway.ts';
import { forkGateway } from './gatewayProcess.ts';

/** Two cores may be starting several at once. */
const STARTS_WITHIN_MS = 20_000;

/** How a process ended. */
export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of the gateway that a test kills, restarts, or expects not to start at all. */
export interface GatewayRun extends AsyncDisposable {
  readonly exited: Promise<Ended>;
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves, once it listens, to the origins of both ports. */
  listening(): Promise<{ readonly external: string; readonly internal: string }>;
  /** Sends a signal and resolves when the process has ended. */
  kill(signal: NodeJS.Signals): Promise<Ended>;
}

export interface GatewayRunOptions extends Pick<TestGatewayOptions, 'services' | 'env' | 'store'> {
  /** Files in its working directory, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Further flags for Node. */
  readonly execArgv?: readonly string[];
}

/** Starts a gateway on free ports. What it keeps is lost with it, unless `env` names a DATA_DIR. */
export function runGateway(options: Readonly<GatewayRunOptions>): GatewayRun {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-run-'));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(directory, name), text);
  const child = forkGateway(gatewayEnvironment(options, directory), directory, options.execArgv);
  const written = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    written.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    written.stderr += chunk;
  });
  const exited = once(child, 'close').then(([exitCode, signal]): Ended => {
    rmSync(directory, { recursive: true, force: true });
    return { exitCode, signal };
  });

  const kill = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exited;
  };
  return {
    exited,
    pid: child.pid as number,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    async listening() {
      const found = await eventually(
        'the gateway listens',
        () => /external port (\d+), internal port (\d+)/.exec(written.stdout) ?? undefined,
        STARTS_WITHIN_MS,
      );
      return { external: `http://127.0.0.1:${found[1]}`, internal: `http://127.0.0.1:${found[2]}` };
    },
    kill,
    async [Symbol.asyncDispose]() {
      await kill('SIGKILL');
    },
  };
}
