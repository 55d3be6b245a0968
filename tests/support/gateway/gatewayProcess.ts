import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { commandIn, type MemoryGroup } from '../../../bench/machine/memoryGroup.ts';
import { GATEWAY_MODULE, LIFELINE_ARGV } from '../../../playground/stack/gateway.ts';
import { memoryOf } from '../processes/memoryOf.ts';
import { bearer, gatewayEnvironment, type TestGatewayOptions, tokenFor } from './gateway.ts';

/** Written to a process's `clear_refs`, this makes its peak memory what it has now. */
const RESET_PEAK = '5';

const LAST_LINES_KEPT = 15;

/** Both ports, for `describe.each`. */
export const PORTS = ['external', 'internal'] as const;
export type Port = (typeof PORTS)[number];

/** A gateway that is a process of its own, as in production: `node gateway/main.ts`. */
export interface GatewayProcess extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` of the external port. */
  readonly external: string;
  readonly internal: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The URL by which clients of that port reach `path`, which begins with the service's. */
  url(port: Port, path: string): string;
  /** Resident memory now. */
  rssBytes(): number;
  /** The most resident memory since it started or since `resetPeakRss`. */
  peakRssBytes(): number;
  resetPeakRss(): void;
  /** SIGTERM. Fails unless it drains and ends with 0, or has been killed. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface GatewayProcessOptions
  extends Pick<TestGatewayOptions, 'services' | 'defaults' | 'routes' | 'env'> {
  /** Further flags for Node. */
  readonly execArgv?: readonly string[];
  /** The group whose limits hold for it. */
  readonly group?: Pick<MemoryGroup, 'procsFile'> | undefined;
}

/** Starts a gateway on free ports and resolves once it listens. It dies with this process. */
export async function startGatewayProcess(options: Readonly<GatewayProcessOptions>): Promise<GatewayProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-process-'));
  const { execArgv, group } = options;
  const child = forkGateway(gatewayEnvironment(options, directory), directory, execArgv, group);
  const exited = once(child, 'exit');
  const { externalPort, internalPort } = await portsOf(child);
  const origins = {
    external: `http://127.0.0.1:${externalPort}`,
    internal: `http://127.0.0.1:${internalPort}`,
  };
  const pid = child.pid as number;

  async function end(signal: NodeJS.Signals): Promise<void> {
    child.kill(signal);
    const [code, endedBy] = await exited;
    rmSync(directory, { recursive: true, force: true });
    if (code !== 0 && endedBy !== 'SIGKILL') throw new Error(`the gateway ended with ${code ?? endedBy}`);
  }
  const stop = () => end('SIGTERM');

  return {
    ...origins,
    pid,
    child,
    url: (port, path) => (port === 'external' ? origins.external : `${origins.internal}/internal`) + path,
    rssBytes: () => memoryOf(pid, 'VmRSS'),
    peakRssBytes: () => memoryOf(pid, 'VmHWM'),
    resetPeakRss: () => writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK),
    stop,
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: stop,
  };
}

/** `node gateway/main.ts` with these settings alone. It dies with this process. */
export function forkGateway(
  env: NodeJS.ProcessEnv,
  directory: string,
  execArgv: readonly string[] = [],
  group?: Pick<MemoryGroup, 'procsFile'>,
): ChildProcess {
  return fork(GATEWAY_MODULE, {
    // Where no .env is.
    cwd: directory,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      LOG_FORMAT: 'json',
      ...env,
    },
    ...programIn(group, [...LIFELINE_ARGV, ...execArgv]),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

/** Node itself, or what puts it into the group. */
function programIn(
  group: Pick<MemoryGroup, 'procsFile'> | undefined,
  execArgv: readonly string[],
): Pick<ForkOptions, 'execPath' | 'execArgv'> {
  if (!group) return { execArgv: [...execArgv] };
  const [execPath, ...args] = commandIn(group, [process.execPath, ...execArgv]);
  return { execPath, execArgv: args };
}

/** The field a client of this port needs: a real token, or nothing. */
export function credentials(port: Port, subject = 'ann'): { Authorization?: string } {
  return port === 'external' ? bearer(tokenFor(subject)) : {};
}

interface Listening {
  readonly externalPort: number;
  readonly internalPort: number;
}

/** The ports it logs; rejects, with what it wrote last, when it ends instead. */
function portsOf(child: ChildProcess): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<Listening>();
  let lastLines: string[] = [];
  for (const output of [child.stdout, child.stderr]) {
    if (!output) continue;
    createInterface({ input: output }).on('line', (line) => {
      lastLines = [...lastLines, line].slice(-LAST_LINES_KEPT);
      if (line.includes('"Gateway listening')) resolve(JSON.parse(line));
    });
  }
  child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}:\n${lastLines.join('\n')}`)));
  return promise;
}
