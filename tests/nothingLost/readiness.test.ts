import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import { failures, Load } from '../support/clients/load.ts';
import { eventually } from '../support/eventually.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';

const PROGRAM = new URL('../support/programs/readyReplica.ts', import.meta.url);
const SERVICE = '/budgeting';
const REPLICAS = 3;

class ReadyReplica implements AsyncDisposable {
  port = 0;
  #child: ChildProcess | undefined;

  async start(): Promise<void> {
    this.#child = fork(PROGRAM, [String(this.port)], { execArgv: [] });
    [this.port] = await once(this.#child, 'message');
  }

  /** SIGTERM; resolves when the process is gone. */
  async stop(): Promise<void> {
    const child = this.#child as ChildProcess;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.port}/ready`)).ok;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill('SIGKILL');
  }
}

it.each([1, 2])(
  'replicas that are restarted in turn, and say when they are not ready, fail no request (%d threads)',
  async (workers) => {
    await using stack = new AsyncDisposableStack();
    const replicas = Array.from({ length: REPLICAS }, () => stack.use(new ReadyReplica()));
    await Promise.all(replicas.map((replica) => replica.start()));
    await eventually('all are ready', async () =>
      (await Promise.all(replicas.map((replica) => replica.isReady()))).every(Boolean),
    );
    await using gateway = await startGatewayProcess({
      services: {
        [SERVICE]: {
          upstreams: replicas.map(({ port }) => `http://127.0.0.1:${port}`),
          health: { path: '/ready', interval: '100ms', timeout: '2s', healthyAfter: 2, unhealthyAfter: 2 },
          // So that no second try hides what the first one met.
          retry: 'off',
          breaker: 'off',
        },
      },
      env: {
        WORKERS: String(workers),
        GLOBAL_CONCURRENCY: '1000',
        PER_SERVICE_LIMIT: '1000',
        GET_CACHE_TTL: 'off',
        REQUEST_TIMEOUT: '30s',
      },
    });
    await using load = new Load({
      origin: gateway.internal,
      target: () => `/internal${SERVICE}/x`,
      method: 'POST',
      connections: 40,
      pauseMs: 5,
    });
    const health = async () => {
      const text = await (await fetch(`${gateway.internal}/metrics`)).text();
      return Array.from(text.matchAll(/^gateway_replica_health\{.*\} (\d)$/gm), ([, value]) => value).join(
        '',
      );
    };
    await load.more(200);
    for (const replica of replicas) {
      await replica.stop();
      await replica.start();
      await eventually('it gets requests again', async () => (await health()) === '111', 30_000);
      await load.more(200);
    }
    const outcomes = await load.stop();
    expect(outcomes.length).toBeGreaterThan(200 * (REPLICAS + 1));
    expect(failures(outcomes)).toEqual([]);
  },
  120_000,
);
