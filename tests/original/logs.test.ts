import { describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway/gateway.ts';
import { runGateway } from '../support/gateway/gatewayRun.ts';
import { sendJson, startUpstream } from '../support/upstreams/upstream.ts';

const TASK = 'padstack_budgeting-service.1.k7oqrdzi84fqlnd59vy81zums';

/** A failing replica of a Swarm, and the registry that lists it. Its name resolves nowhere, so its URL stands beside it. */
async function startFailing() {
  const stack = new AsyncDisposableStack();
  const replica = stack.use(await startUpstream((_req, res) => void res.writeHead(500).end()));
  const entry = { name: 'budgeting', host: TASK, port: 8087, url: replica.url.origin, status: 'healthy' };
  const registry = stack.use(
    await startUpstream((req, res) => sendJson(res, req.method === 'GET' ? [entry] : {})),
  );
  return {
    replica,
    registry,
    services: { '/budgeting': { upstreams: [] } },
    env: { SERVICE_DISCOVERY_URL: registry.url.origin },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("the original's example of a log", () => {
  it('is what a breaker that trips writes, line by line', async () => {
    await using world = await startFailing();
    await using gateway = await startGateway(world);
    const messages = () => gateway.logLines().map(({ message }) => String(message));
    const ask = () => fetch(`${gateway.internal}/internal/budgeting/api/test-circuit-breaker`);
    await eventually('it is listed', () => messages().some((line) => line.startsWith('Discovered 1')));
    for (let n = 0; n < 3; n += 1) expect((await ask()).status).toBe(500);
    await eventually('it is deregistered', () => messages().some((line) => line.startsWith('✅')));
    expect((await ask()).status).toBe(503);
    const { origin } = world.replica.url;
    expect(messages().filter((line) => /^[^\w\s]/.test(line))).toEqual([
      `🔔 Circuit Breaker: Service ${origin} failure 1/3 (window: 10.50 seconds)`,
      `🔔 Circuit Breaker: Service ${origin} failure 2/3 (window: 10.50 seconds)`,
      `🔔 Circuit Breaker: Service ${origin} failure 3/3 (window: 10.50 seconds)`,
      `🚨 CIRCUIT BREAKER TRIPPED for ${origin} - deregistering`,
      `🔍 Extracted replica ID: ${TASK}`,
      `🗑️  Sending deregister request: ${world.registry.url.origin}/deregister?service_id=${TASK}`,
      `✅ Successfully deregistered replica: ${TASK}`,
      `🗑️ Deregistered replica ${TASK}`,
      `⚡ Circuit breaker OPEN for ${origin} - request rejected (fail-fast)`,
    ]);
  });
});

describe('the commands by which the original is searched for its log lines', () => {
  it.each(['json', 'pretty'])('find them with LOG_FORMAT=%s', async (format) => {
    await using world = await startFailing();
    await using run = runGateway({ ...world, env: { ...world.env, LOG_FORMAT: format, LOG_LEVEL: 'debug' } });
    const { external, internal } = await run.listening();
    await fetch(`${external}/budgeting/api/x`);
    for (let n = 0; n < 3; n += 1) await fetch(`${internal}/internal/budgeting/api/x`);
    // docker logs api-gateway | grep ...
    const grep = (pattern: RegExp) =>
      run
        .stdout()
        .split('\n')
        .filter((line) => pattern.test(line)).length;
    await eventually('the last line', () => grep(/CIRCUIT BREAKER TRIPPED/) === 1);
    expect(grep(/failure [0-9]\/3/)).toBe(3);
    expect(grep(/Circuit Breaker/)).toBe(3);
    await eventually('the access lines', () => grep(/Load balancer selected/) === 3);
    expect(grep(/Load balancer/)).toBe(3);
    expect(grep(/JWT/)).toBeGreaterThanOrEqual(1);
  });
});
