import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Load, statuses } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { type ReplicaProcess, startReplicaProcesses } from '../../support/upstreams/replicaProcess.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const THRESHOLD = 3;
const LONG_MS = 60_000;

async function world(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const { replicas } = stack.use(await startReplicaProcesses(3));
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': { upstreams: replicas, concurrency: 1000 } },
      env: { LOG_LEVEL: 'warn', GET_CACHE_TTL: 'off', ...env },
    }),
  );
  const [first, second, third] = replicas as [ReplicaProcess, ReplicaProcess, ReplicaProcess];
  return { gateway, first, second, third, replicas, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function load(gateway: TestGateway, port: Port, method: 'GET' | 'POST' = 'GET'): Load {
  const prefix = port === 'external' ? '/budgeting' : '/internal/budgeting';
  const headers = port === 'external' ? bearer(tokenFor('ann')) : {};
  return new Load({ origin: gateway[port], target: (n) => `${prefix}/x?id=${n}`, method, headers });
}

/** Of the first replica: it is called after its host alone. */
const instance = ({ url }: ReplicaProcess) => ({ service: '/budgeting', instance: url.hostname });
const isOpen = async (gateway: TestGateway, replica: ReplicaProcess) =>
  (await gateway.metric('gateway_circuit_breaker_state', instance(replica))) === 1;

describe.each(PORTS)('on the %s port, under fifty callers, a replica of three that', (port) => {
  it(
    'is killed costs no GET',
    async () => {
      await using w = await world();
      await using callers = load(w.gateway, port);
      await callers.more(1000);
      await w.first.kill();
      await callers.more(2000);
      expect(statuses(await callers.stop())).toEqual({ 200: callers.outcomes.length });
      expect(await isOpen(w.gateway, w.first)).toBe(true);
      const moved = await w.gateway.metric('gateway_failovers_total', instance(w.first));
      expect(moved).toBeGreaterThan(0);
      expect(moved).toBeLessThanOrEqual(50);
      expect(await w.gateway.metric('gateway_lb_instance_in_flight')).toBe(0);
    },
    LONG_MS,
  );

  it(
    'is killed gets no POST twice, and costs only those it had',
    async () => {
      await using w = await world();
      await using callers = load(w.gateway, port, 'POST');
      await callers.more(1000);
      await w.first.kill();
      await callers.more(2000);
      const outcomes = await callers.stop();
      const failed = outcomes.filter(({ status }) => status !== 200);
      expect(failed.every(({ status }) => status === 502)).toBe(true);
      // A third of fifty were there; others may have been written to connections that broke just then.
      expect(failed.length).toBeLessThanOrEqual(25);
      const arrived = w.replicas.flatMap(({ ids }) => ids);
      expect(new Set(arrived).size).toBe(arrived.length);
      const answered = new Set(arrived);
      const lost = outcomes.filter(({ n, status }) => status === 200 && !answered.has(String(n)));
      expect(lost).toEqual([]);
    },
    LONG_MS,
  );

  it(
    'freezes costs no GET, and is asked again once it has thawed',
    async () => {
      await using w = await world({ REQUEST_TIMEOUT: '2s', CIRCUIT_BREAKER_COOLDOWN: '1s' });
      await using callers = load(w.gateway, port);
      await callers.more(500);
      w.first.freeze();
      await eventually('its breaker opens', () => isOpen(w.gateway, w.first));
      await callers.more(500);
      const before = w.second.ids.length;
      await eventually('it was on trial in vain', async () => {
        const failures = await w.gateway.metric('gateway_circuit_breaker_failures_total', instance(w.first));
        return failures > THRESHOLD;
      });
      w.first.thaw();
      const arrived = w.first.ids.length;
      await eventually('it gets requests again', () => w.first.ids.length > arrived + 50);
      expect(w.second.ids.length).toBeGreaterThan(before);
      const counts = statuses(await callers.stop());
      expect(counts).toEqual({ 200: callers.outcomes.length });
    },
    LONG_MS,
  );
});

describe('a single replica that answers 500', () => {
  it('is refused by three failures, then all callers get a 503 that is true and quick', async () => {
    await using upstream = await startUpstream((_req, res) => void res.writeHead(500).end());
    const services = { '/budgeting': [upstream] };
    await using gateway = await startGateway({ services, env: { CIRCUIT_BREAKER_COOLDOWN: '20s' } });
    const ask = async () => fetch(`${gateway.internal}/internal/budgeting/x`);
    let failed = 0;
    while ((await ask()).status === 500) failed += 1;
    expect(failed).toBe(THRESHOLD);

    const extraMs: number[] = [];
    for (let i = 0; i < 101; i += 1) {
      // What a busy machine takes for any request is not the refusal's.
      const { ms: nothingMs } = await timed(async () => fetch(`${gateway.internal}/healthz`));
      const { ms: refusalMs, result: answer } = await timed(ask);
      extraMs.push(refusalMs - nothingMs);
      expect(answer.status).toBe(503);
      expect(((await answer.json()) as { code: string }).code).toBe('circuit_open');
      const retryAfter = Number(answer.headers.get('Retry-After'));
      expect(retryAfter).toBeGreaterThan(10);
      expect(retryAfter).toBeLessThanOrEqual(20);
    }
    expect(extraMs.toSorted((x, y) => x - y)[50]).toBeLessThan(5);
    expect(await gateway.metric('gateway_circuit_breaker_rejected_total')).toBe(102);
  });
});

describe('half-open', () => {
  it(
    'lets one of a thousand callers through',
    async () => {
      let answer: RequestListener = (_req, res) => void res.writeHead(500).end();
      await using upstream = await startUpstream((req, res) => answer(req, res));
      await using gateway = await startGateway({
        services: { '/budgeting': [upstream] },
        env: { LOG_LEVEL: 'error', CIRCUIT_BREAKER_COOLDOWN: '1s', REQUEST_TIMEOUT: '60s' },
      });
      const ask = async () => (await fetch(`${gateway.internal}/internal/budgeting/x`)).status;
      for (let i = 0; i < THRESHOLD; i += 1) await ask();
      let finish = () => {};
      answer = (_req, res) => {
        finish = () => res.end();
      };
      await eventually('its cooldown is over', async () => {
        return (await gateway.metric('gateway_circuit_breaker_state')) === 2;
      });
      let refused = 0;
      const calls = Array.from({ length: 1000 }, async () => {
        const status = await ask();
        if (status === 503) refused += 1;
        return status;
      });
      await eventually('all but one are refused', () => refused === 999, LONG_MS);
      expect(upstream.requests).toHaveLength(THRESHOLD + 1);
      finish();
      expect((await Promise.all(calls)).filter((status) => status === 200)).toHaveLength(1);
      expect(await gateway.metric('gateway_circuit_breaker_state')).toBe(0);
    },
    LONG_MS,
  );
});

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const startedAtMs = performance.now();
  const result = await work();
  return { ms: performance.now() - startedAtMs, result };
}
