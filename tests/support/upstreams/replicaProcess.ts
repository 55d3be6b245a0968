import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = new URL('../programs/replica.ts', import.meta.url);

/**
 * A replica that is a process of its own. `?id=` is recorded, `?status=` and `?delayMs=` say how to answer; it answers
 * after a millisecond unless told otherwise.
 */
export interface ReplicaProcess extends AsyncDisposable {
  readonly url: URL;
  /** The ids of all requests that have arrived, in order. */
  readonly ids: readonly string[];
  /** SIGTERM: it finishes what is under way; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: connections open, and nothing is answered. */
  freeze(): void;
  thaw(): void;
}

/** @param port where it listens; 0, the default: any that is free */
export async function startReplicaProcess(port = 0): Promise<ReplicaProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-replica-'));
  const record = join(directory, 'ids');
  const child = fork(PROGRAM, [record, String(port)], { execArgv: [] });
  const exited = once(child, 'exit');
  const [listeningOn] = await once(child, 'message');

  async function end(signal: NodeJS.Signals): Promise<void> {
    child.kill(signal);
    await exited;
  }
  const kill = () => end('SIGKILL');

  return {
    url: new URL(`http://127.0.0.1:${listeningOn}`),
    get ids() {
      return readFileSync(record, 'utf8').split('\n').filter(Boolean);
    },
    stop: () => end('SIGTERM'),
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** That many of them, ended together. */
export async function startReplicaProcesses(count: number) {
  const stack = new AsyncDisposableStack();
  const replicas = await Promise.all(Array.from({ length: count }, () => startReplicaProcess()));
  for (const replica of replicas) stack.use(replica);
  return { replicas, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
