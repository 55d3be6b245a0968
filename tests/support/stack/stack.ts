import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { type CallOptions, type CallResponse, call } from '../clients/client.ts';
import { assignments, execForm, readDockerfile } from '../deploy/dockerfile.ts';
import { eventually } from '../eventually.ts';
import { ensureCommand } from '../processes/command.ts';
import { ensureRedisBinary } from '../stores/redis.ts';
import type { World, WorldOptions } from './world.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAM = join(import.meta.dirname, '../programs/stack.ts');
/** Thirty servers and a gateway, on two cores that other tests use as well. */
const STARTS_WITHIN_MS = 60_000;

/** Brings up loopback, and shows $1 as /etc/hosts to all that runs inside. */
const ENTER = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"';
const ALONE = ['--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** The world's methods, called from outside. */
type Remote = Pick<
  World,
  | 'startTask'
  | 'register'
  | 'stopTask'
  | 'fail'
  | 'tasks'
  | 'listed'
  | 'registryCalls'
  | 'gatewayOutput'
  | 'redisKeys'
>;

export type Port = 'external' | 'internal';

export interface Stack extends Remote, AsyncDisposable {
  /** One request to a port of the gateway. */
  ask(port: Port, path: string, options?: CallOptions): Promise<CallResponse>;
  /** A WebSocket to the external port, not open yet. */
  webSocket(path: string): WebSocket;
}

export interface StackOptions extends Omit<WorldOptions, 'hostsFile'> {
  /** The variables that the stack's compose file gives the gateway. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The stack with two tasks of each service, not registered yet, and the gateway in it: in a network of its own, where
 * every port is free and every name of the compose files resolves. The gateway is started as its image starts it. All of
 * it dies with this process.
 */
export async function startStack({ env, ...world }: StackOptions): Promise<Stack> {
  ensureCommand('ip', 'iproute2');
  ensureRedisBinary();
  const directory = mkdtempSync(join(tmpdir(), 'stack-'));
  const hostsFile = join(directory, 'hosts');
  const door = join(directory, 'door');
  writeFileSync(hostsFile, '');
  const options = JSON.stringify({ ...world, hostsFile } satisfies WorldOptions);
  const command = [process.execPath, PROGRAM, options, door];
  const child = spawn('unshare', [...ALONE, 'sh', '-c', ENTER, 'sh', hostsFile, ...command], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const remote = remoteOf(child, exited);
    await Promise.race([once(child, 'message'), exited]);
    await remote('start');
    const image = imageOfGateway();
    await remote('startGateway', image.command, { ...image.env, ...env });
    const stack = stackOf(remote, door, env, end);
    await ready(stack);
    return stack;
  } catch (error) {
    await end();
    throw error;
  }
}

function stackOf(
  remote: (method: keyof World, ...args: unknown[]) => Promise<unknown>,
  door: string,
  env: StackOptions['env'],
  end: () => Promise<void>,
): Stack {
  const createConnection = (port: Port) => () => {
    const socket = connect(door);
    socket.write(`127.0.0.1:${port === 'external' ? env.EXTERNAL_PORT : env.INTERNAL_PORT}\n`);
    return socket;
  };
  const methods = ['startTask', 'register', 'stopTask', 'fail', 'tasks'] as const;
  const reports = ['listed', 'registryCalls', 'gatewayOutput', 'redisKeys'] as const;
  const calls = [...methods, ...reports].map((method) => [
    method,
    (...args: unknown[]) => remote(method, ...args),
  ]);
  return {
    ...(Object.fromEntries(calls) as Remote),
    async ask(port, path, options) {
      for (;;) {
        const inside = { agent: undefined, createConnection: createConnection(port) };
        const answer = await call(`http://api-gateway${path}`, { ...options, ...inside });
        if (!isStoreLate(answer)) return answer;
      }
    },
    webSocket: (path) =>
      new WebSocket(`ws://api-gateway${path}`, { createConnection: createConnection('external') }),
    async [Symbol.asyncDispose]() {
      const exitCode = await remote('stopGateway');
      await end();
      if (exitCode !== 0) throw new Error(`the gateway ended with ${exitCode}`);
    },
  };
}

/** The stack sets no STORE_TIMEOUT, and 50 ms are little on a busy machine: the reply says to come again. */
function isStoreLate({ status, body }: CallResponse): boolean {
  return status === 503 && body.includes('store_unavailable');
}

/** Calls methods of the world in the child; rejects when it ends. */
function remoteOf(child: ChildProcess, exited: Promise<unknown[]>) {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let last = 0;
  child.on('message', (message: { n: number; result?: unknown; error?: string }) => {
    const call = waiting.get(message.n);
    waiting.delete(message.n);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(new Error(message.error));
  });
  void exited.then(() => {
    for (const call of waiting.values()) call.reject(new Error('the stack has ended'));
  });
  return (method: keyof World, ...args: unknown[]): Promise<unknown> => {
    last += 1;
    const call = Promise.withResolvers<unknown>();
    waiting.set(last, call);
    child.send({ n: last, method, args });
    return call.promise;
  };
}

async function ready(stack: Stack): Promise<void> {
  try {
    await eventually(
      'the gateway is ready',
      async () => {
        // Nobody asks before it listens.
        if (!(await stack.gatewayOutput()).includes('Gateway listening')) return false;
        return (await stack.ask('external', '/readyz')).status === 200;
      },
      STARTS_WITHIN_MS,
    );
  } catch (cause) {
    throw new Error(`the gateway is not ready:\n${await stack.gatewayOutput()}`, { cause });
  }
}

/** What the image runs, and with what. */
function imageOfGateway() {
  const stages = readDockerfile(join(ROOT, 'Dockerfile'));
  const last = stages.at(-1);
  const instructions = stages
    .filter(({ name }) => name === last?.name || name === last?.from)
    .flatMap((stage) => stage.instructions);
  const assigned = instructions.filter(({ name }) => name === 'ENV').map(({ text }) => assignments(text));
  const env = Object.assign({ PATH: process.env.PATH ?? '' }, ...assigned) as Record<string, string>;
  const entrypoint = execForm(instructions.find(({ name }) => name === 'ENTRYPOINT')?.text ?? '[]');
  const command = entrypoint.map((word) => (word.endsWith('.ts') ? join(ROOT, word) : word));
  return { command: [process.execPath, ...command.slice(1)], env };
}
