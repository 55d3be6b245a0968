import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Load, statuses } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { credentials, PORTS, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LONG_MS = 60_000;
/** On a busy machine an answer takes its time: what is under test is who is told of it. */
const PATIENT = { REQUEST_TIMEOUT: '20s' };

/** Of callers: a replica that is slow under load is asked for its health as well. */
const callsOf = ({ requests }: Upstream) => requests.filter(({ target }) => target !== '/health').length;

describe.each(PORTS)('a gateway process that is stopped under load on the %s port', (port) => {
  it(
    'has told the registry of every request',
    async () => {
      await using registry = await startRegistry();
      await using a = await startUpstream();
      await using b = await startUpstream();
      registry.list('a', a);
      registry.list('b', b);
      const gateway = await startGatewayProcess({
        services: { '/budgeting': { upstreams: [], concurrency: 1000 } },
        env: { SERVICE_DISCOVERY_URL: registry.url, GET_CACHE_TTL: 'off', ...PATIENT },
      });
      await using load = new Load({
        origin: gateway[port],
        target: (n) => `${port === 'internal' ? '/internal' : ''}/budgeting/x?${n}`,
        headers: { ...credentials(port) } as Record<string, string>,
      });
      await load.more(500);
      const outcomes = await load.stop();
      await gateway.stop();
      expect(statuses(outcomes)).toEqual({ 200: outcomes.length });
      const told = registry.replicas.list().map(({ host, request_count }) => [host, request_count]);
      expect(Object.fromEntries(told)).toEqual({ a: callsOf(a), b: callsOf(b) });
      expect(callsOf(a) + callsOf(b)).toBe(outcomes.length);
      const calls = registry.requests.filter(({ method }) => method === 'PUT').length;
      process.stdout.write(`${port}: ${outcomes.length} requests were told in ${calls} calls\n`);
    },
    LONG_MS,
  );
});

describe('a registry that takes one call for each request, and dies', () => {
  it('costs no request; what it is not told is counted', async () => {
    await using upstream = await startUpstream();
    const listing: RequestListener = (_req, res) =>
      sendJson(res, [{ id: 'a', host: 'a', name: 'budgeting', url: upstream.url.origin, status: 'healthy' }]);
    await using registry = await startRegistry();
    const answered: string[] = [];
    registry.answers((req, res) => {
      if (req.method === 'GET') return listing(req, res);
      answered.push(req.url ?? '');
      res.end();
    });
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: registry.url, LOG_LEVEL: 'warn', ...PATIENT },
    });
    await eventually('ready', async () => (await fetch(`${gateway.internal}/readyz`)).status === 200);
    await using load = new Load({ origin: gateway.internal, target: () => '/internal/budgeting/x' });
    await load.more(100);
    await eventually('some are told', () => answered.length >= 50);
    // From now on it hangs.
    registry.answers(() => {});
    const atLeast = answered.length;
    await load.more(1500);
    const outcomes = await load.stop();
    expect(statuses(outcomes)).toEqual({ 200: outcomes.length });
    const dropped = () => gateway.metric('gateway_registry_calls_dropped_total');
    expect(await dropped()).toBeGreaterThan(0);
    await gateway.stop();
    // A thousand may wait, four be under way; what is left at the stop is dropped as well.
    const failed = await gateway.metric('gateway_registry_errors_total', { call: 'update' });
    expect((await dropped()) + failed + answered.length).toBeLessThanOrEqual(outcomes.length);
    expect((await dropped()) + failed + answered.length).toBeGreaterThanOrEqual(outcomes.length - 4);
    expect(answered.length).toBeLessThanOrEqual(atLeast + 4);
    expect(new Set(answered)).toEqual(new Set(['/increment?service_id=a']));
    const [sent, gone] = [outcomes.length, await dropped()];
    process.stdout.write(`${sent} requests: ${answered.length} told, ${gone} dropped, ${failed} failed\n`);
  });
});

describe('a registry that lists 10,000 replicas of one service', () => {
  it(
    'keeps nobody waiting',
    async () => {
      await using registry = await startRegistry();
      await using upstream = await startUpstream();
      registry.list('first', upstream);
      await using gateway = await startGatewayProcess({
        services: { '/budgeting': { upstreams: [] } },
        env: { SERVICE_DISCOVERY_URL: registry.url, SERVICE_REFRESH_INTERVAL: '200ms', ...PATIENT },
      });
      await eventually('ready', async () => (await fetch(`${gateway.internal}/readyz`)).status === 200);
      await using load = new Load({ origin: gateway.internal, target: (n) => `/internal/budgeting/x?${n}` });
      await load.more(100);
      const { origin } = upstream.url;
      const body = JSON.stringify(
        Array.from({ length: 10_000 }, (_, n) => ({ host: `r${n}`, name: 'budgeting', url: origin })),
      );
      const looks = () => registry.requests.filter(({ method }) => method === 'GET').length;
      const heard = async () => {
        const before = looks();
        await eventually('it looks again', () => looks() >= before + 2, LONG_MS);
      };
      registry.answers((_req, res) => void res.end(body));
      await heard();
      await load.more(500);
      const outcomes = await load.stop();
      expect(statuses(outcomes)).toEqual({ 200: outcomes.length });
      const metrics = async () => (await fetch(`${gateway.internal}/metrics`)).text();
      // A thousand series, and all the others as one.
      expect(await metrics()).toContain('gateway_lb_instance_health{service="other",instance="other"}');
      registry.answers();
      await heard();
      await eventually('none is shown any more', async () => !(await metrics()).includes('instance="r'));
      const slowestMs = Math.round(Math.max(...outcomes.map(({ ms }) => ms)));
      process.stdout.write(`${outcomes.length} requests, the slowest ${slowestMs} ms\n`);
    },
    LONG_MS,
  );
});
