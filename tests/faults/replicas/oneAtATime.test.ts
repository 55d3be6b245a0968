import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LONG_MS = 60_000;
const WORK_MS = 2400;
/** Back to back, by each caller. */
const REQUESTS = 4;
const REPLICAS = [1, 2, 3] as const;

/** A replica of one thread: it works on one request at a time, whether somebody still waits for it or not. */
function startSingleThreaded(): Promise<Upstream> {
  let idle = Promise.resolve();
  return startUpstream((req, res) => {
    const workMs = req.url?.startsWith('/slow') ? WORK_MS : 0;
    idle = idle.then(async () => {
      await sleep(workMs);
      res.end('done');
    });
  });
}

async function ask({ external, internal }: TestGateway, port: Port, path: string): Promise<number> {
  const url = port === 'external' ? external : `${internal}/internal`;
  const headers = port === 'external' ? bearer(tokenFor('ann')) : {};
  return (await fetch(`${url}${path}?${crypto.randomUUID()}`, { headers })).status;
}

async function backToBack(gateway: TestGateway, port: Port, path: string, count: number): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < count; n += 1) all.push(await ask(gateway, port, path));
  return all;
}

interface Case {
  readonly replicas: number;
  /** How many ask at the same time. */
  readonly callers: number;
  /** Whether the service is known to be fast by then. */
  readonly warm: boolean;
}

// No more callers than replicas: one that waits behind another on one thread is late, whoever sends it there.
const CASES: readonly Case[] = REPLICAS.flatMap((replicas) =>
  Array.from({ length: replicas }, (_, i) => i + 1).flatMap((callers) =>
    [false, true].map((warm) => ({ replicas, callers, warm })),
  ),
);

describe.each(PORTS)('on the %s port, replicas of one thread that work for 2.4 of 3 seconds', (port) => {
  it(
    'give every response, one, two and three of them, to requests back to back, and no failure is counted',
    async () => {
      await using stack = new AsyncDisposableStack();
      const services: Record<string, Upstream[]> = {};
      for (const [index, { replicas }] of CASES.entries()) {
        services[`/s${index}`] = await Promise.all(
          Array.from({ length: replicas }, async () => stack.use(await startSingleThreaded())),
        );
      }
      await using gateway = await startGateway({
        services,
        env: { REQUEST_TIMEOUT: '3s', GLOBAL_CONCURRENCY: '1000' },
      });
      const outcomes = await Promise.all(
        CASES.map(async ({ callers, warm }, index) => {
          if (warm) await backToBack(gateway, port, `/s${index}/fast`, 30);
          const all = Array.from({ length: callers }, () =>
            backToBack(gateway, port, `/s${index}/slow`, REQUESTS),
          );
          return (await Promise.all(all)).flat();
        }),
      );
      const wanted = CASES.map(({ callers }) => Array<number>(callers * REQUESTS).fill(200));
      expect(outcomes).toEqual(wanted);
      expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
      process.stdout.write(`${port}: ${await gateway.metric('gateway_hedges_total')} hedges\n`);
    },
    LONG_MS,
  );
});
