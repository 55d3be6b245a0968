import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

const PROGRAM = new URL('./sessionReplica.ts', import.meta.url);

export interface SessionReplicas extends AsyncDisposable {
  readonly urls: readonly URL[];
  /** How many requests those that live have refused, because they did not know the session. */
  refused(): Promise<number>;
  /** SIGKILL for the one with this process id; resolves when it is gone. */
  kill(pid: number): Promise<void>;
}

/** Replicas, each a process, of a service that keeps sessions in memory. */
export async function startSessionReplicas(
  kind: 'signalr' | 'socketio',
  count = 3,
): Promise<SessionReplicas> {
  const children = Array.from({ length: count }, () => fork(PROGRAM, [kind], { execArgv: [] }));
  const ports = await Promise.all(children.map(async (child) => (await answerOf(child)).port));
  const living = new Set(children);
  const end = async (child: ChildProcess) => {
    living.delete(child);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return {
    urls: ports.map((port) => new URL(`http://127.0.0.1:${port}`)),
    async refused() {
      const answers = Array.from(living, (child) => {
        const answer = answerOf(child);
        child.send('refused');
        return answer;
      });
      return (await Promise.all(answers)).reduce((sum, { refused = 0 }) => sum + refused, 0);
    },
    async kill(pid) {
      const child = children.find((each) => each.pid === pid);
      if (!child) throw new Error(`no replica has the process id ${pid}`);
      await end(child);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Array.from(living, end));
    },
  };
}

async function answerOf(child: ChildProcess): Promise<{ port?: number; refused?: number }> {
  const [answer] = await once(child, 'message');
  return answer;
}
