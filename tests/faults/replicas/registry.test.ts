import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Load, statuses } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { freePort } from '../../support/stores/redis.ts';
import { startRegistry, type TestRegistry } from '../../support/upstreams/registry.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LONG_MS = 60_000;
const REFRESH = { SERVICE_REFRESH_INTERVAL: '50ms', REQUEST_TIMEOUT: '1s' };

async function world(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const [a, b, fallback] = [
    stack.use(await startUpstream()),
    stack.use(await startUpstream()),
    stack.use(await startUpstream()),
  ] as const;
  registry.list('a', a);
  registry.list('b', b);
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': [fallback] },
      env: { SERVICE_DISCOVERY_URL: registry.url, LOG_LEVEL: 'warn', ...REFRESH, ...env },
    }),
  );
  await eventually('ready', () => isReady(gateway));
  return { registry, gateway, a, b, fallback, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function isReady(gateway: TestGateway): Promise<boolean> {
  return (await fetch(`${gateway.internal}/readyz`)).status === 200;
}

const ask = async (gateway: TestGateway, query = '') =>
  (await fetch(`${gateway.internal}/internal/budgeting/x${query}`)).status;

async function askMany(gateway: TestGateway, times: number): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < times; i += 1) seen.push(await ask(gateway));
  return seen;
}

/** Of callers: a replica that is slow under load is asked for its health as well. */
const callsOf = ({ requests }: Upstream) => requests.filter(({ target }) => target !== '/health').length;

const errors = (gateway: TestGateway) => gateway.metric('gateway_registry_errors_total', { call: 'list' });
const listings = ({ count }: TestRegistry) => count('GET', '/services');

const TEN_THOUSAND = JSON.stringify(
  Array.from({ length: 10_000 }, (_, i) => ({
    id: `other-${i}`,
    name: `other-${i % 100}`,
    host: `other-${i}`,
    port: 8080,
    status: 'healthy',
    request_count: i,
  })),
);

const troubles: { name: string; answer: RequestListener; isError?: boolean; every?: string }[] = [
  { name: 'cuts every connection', answer: (req) => void req.socket.destroy(), isError: true },
  { name: 'takes 30 s for an answer', answer: () => {}, isError: true },
  {
    name: 'answers HTML',
    answer: (_req, res) => void res.end('<html><h1>Welcome</h1></html>'),
    isError: true,
  },
  { name: 'answers 500', answer: (_req, res) => void res.writeHead(500).end(), isError: true },
  {
    name: 'answers half a list',
    answer: (_req, res) => void res.write('[{"id":"a",', () => res.destroy()),
    isError: true,
  },
  { name: 'drops every replica at once', answer: (_req, res) => sendJson(res, []) },
  {
    name: 'lists 10,000 replicas of others',
    answer: (_req, res) => void res.end(TEN_THOUSAND),
    every: '500ms',
  },
];

describe('a registry that', () => {
  it.each(troubles)(
    '$name changes nothing for those who call',
    async ({ answer, isError = false, every = '50ms' }) => {
      await using w = await world({ SERVICE_REFRESH_INTERVAL: every });
      expect(await askMany(w.gateway, 10)).toEqual(Array(10).fill(200));
      w.registry.answers(answer);
      const before = listings(w.registry);
      await eventually('it is asked again', () => listings(w.registry) >= before + 2);
      if (isError) await eventually('the error is counted', async () => (await errors(w.gateway)) > 0);
      expect(await askMany(w.gateway, 10)).toEqual(Array(10).fill(200));
      expect([w.a, w.b, w.fallback].map(callsOf)).toEqual([10, 10, 0]);
    },
  );

  it('is in trouble is told of once in ten seconds, with its address and what is wrong', async () => {
    await using w = await world();
    w.registry.answers((_req, res) => void res.end('<html>'));
    await eventually('some errors', async () => (await errors(w.gateway)) >= 3);
    const lines = w.gateway.logLines().filter(({ message }) => String(message).includes('registry'));
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).toContain(`${w.registry.url}/services`);
    expect(JSON.stringify(lines)).toContain('HTML');
  });

  it('never lists a service leaves it its upstreams', async () => {
    await using w = await world();
    w.registry.replicas.deregister('a');
    w.registry.replicas.deregister('b');
    await using registry = await startRegistry();
    await using gateway = await startGateway({
      services: { '/budgeting': [w.fallback] },
      env: { SERVICE_DISCOVERY_URL: registry.url, ...REFRESH },
    });
    await eventually('ready', () => isReady(gateway));
    expect(await ask(gateway)).toBe(200);
    expect(w.fallback.requests).toHaveLength(1);
    await gateway.stop();
    // Nor is the registry told of requests to replicas that it does not know.
    expect(registry.requests.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('is not there yet at the start is used once it is', async () => {
    await using upstream = await startUpstream();
    await using late = await startUpstream();
    const port = await freePort();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { SERVICE_DISCOVERY_URL: `http://127.0.0.1:${port}`, ...REFRESH },
    });
    await eventually('ready', () => isReady(gateway));
    expect(await ask(gateway)).toBe(200);
    expect(upstream.requests).toHaveLength(1);
    await using registry = await startRegistry({ port });
    registry.list('late', late);
    await eventually(
      'the late one is asked',
      async () => (await ask(gateway)) === 200 && late.requests.length > 0,
    );
  });

  it('is slow with its first response keeps the gateway from being ready, not from answering', async () => {
    await using registry = await startRegistry();
    await using upstream = await startUpstream();
    registry.answers(() => {});
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { SERVICE_DISCOVERY_URL: registry.url, REQUEST_TIMEOUT: '1s' },
    });
    const answer = await fetch(`${gateway.internal}/readyz`);
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { status: 'not ready', missing: ['discovery'] },
    ]);
    expect(await ask(gateway)).toBe(200);
    await eventually('ready', () => isReady(gateway));
  });
});

describe('what the registry is told', () => {
  it('is every request, whoever was chosen, also those of the last moments', async () => {
    await using w = await world();
    await askMany(w.gateway, 31);
    await w.gateway.stop();
    const counts = w.registry.replicas
      .list()
      .map(({ host, request_count }) => [host, request_count] as const);
    expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBe(31);
    for (const [, count] of counts) expect(count).toBeGreaterThanOrEqual(15);
  });

  it('is each trip, once, while the others carry on', async () => {
    await using w = await world({ SERVICE_REFRESH_INTERVAL: '10s' });
    await using broken = await startUpstream((_req, res) => void res.writeHead(500).end());
    w.registry.list('broken', broken);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: w.registry.url, CIRCUIT_BREAKER_COOLDOWN: '300ms', ...REFRESH },
    });
    await eventually('ready', () => isReady(gateway));
    const seen = await askMany(gateway, 30);
    expect(seen.filter((status) => status === 500)).toHaveLength(3);
    await eventually('it is deregistered', () => w.registry.replicas.statusOf('broken') === undefined);
    expect(await askMany(gateway, 30)).toEqual(Array(30).fill(200));
    expect(w.registry.count('DELETE', '/deregister?service_id=broken')).toBe(1);
    const lines = gateway.logLines().map(({ message }) => String(message));
    expect(lines).toContain(`🚨 CIRCUIT BREAKER TRIPPED for ${broken.url.origin} - deregistering`);
    expect(lines).toContain(`🗑️  Sending deregister request: ${w.registry.url}/deregister?service_id=broken`);
    await eventually('the log says so', () =>
      gateway.logLines().some(({ message }) => message === '🗑️ Deregistered replica broken'),
    );
  });
});

describe('a replica that', () => {
  const leavings: { name: string; leave: (registry: TestRegistry) => void }[] = [
    { name: 'is dropped from the list', leave: ({ replicas }) => void replicas.deregister('a') },
    { name: 'is listed as unhealthy', leave: ({ replicas }) => replicas.setStatus('a', 'unhealthy') },
  ];

  it.each(leavings)('$name finishes what it has and gets nothing new', async ({ leave }) => {
    await using w = await world({ REQUEST_TIMEOUT: '20s' });
    let finish: (() => void) | undefined;
    await using slow = await startUpstream((_req, res) => {
      if (finish) res.end('quick');
      else finish = () => void res.end('done');
    });
    w.registry.replicas.deregister('a');
    w.registry.replicas.deregister('b');
    w.registry.list('a', slow);
    await eventually('only the slow one is there', async () => {
      const text = await (await fetch(`${w.gateway.internal}/metrics`)).text();
      return text.includes('instance="a"') && !text.includes('instance="b"');
    });
    const answer = fetch(`${w.gateway.internal}/internal/budgeting/x`);
    await eventually('it has the request', () => slow.requests.length === 1);
    w.registry.list('b', w.b);
    leave(w.registry);
    await eventually(
      'the other is asked',
      async () => (await ask(w.gateway)) === 200 && w.b.requests.length > 0,
    );
    await eventually('the listing is in force', async () => {
      const before = slow.requests.length;
      await askMany(w.gateway, 4);
      return slow.requests.length === before;
    });
    const inHand = slow.requests.length;
    expect(await askMany(w.gateway, 20)).toEqual(Array(20).fill(200));
    expect(slow.requests).toHaveLength(inHand);
    finish?.();
    expect(await (await answer).text()).toBe('done');
  });
});

describe('a set of replicas that changes all the time', () => {
  it(
    'costs no GET and leaves nothing behind',
    async () => {
      const seconds = Number(process.env.CHURN_SECONDS ?? 6);
      await using w = await world({
        SERVICE_REFRESH_INTERVAL: '100ms',
        REQUEST_TIMEOUT: '10s',
        SLOW_START: '200ms',
      });
      await using stack = new AsyncDisposableStack();
      const fleet: [string, Upstream][] = [];
      const departed: Upstream[] = [];
      const join = async (n: number) => {
        const upstream = stack.use(await startUpstream());
        fleet.push([`churn-${n}`, upstream]);
        w.registry.list(`churn-${n}`, upstream);
      };
      for (let n = 0; n < 3; n += 1) await join(n);
      w.registry.replicas.deregister('a');
      w.registry.replicas.deregister('b');
      await using callers = new Load({
        origin: w.gateway.internal,
        target: (n) => `/internal/budgeting/x?${n}`,
      });
      const until = performance.now() + seconds * 1000;
      let n = 3;
      while (performance.now() < until) {
        await join(n++);
        const [gone] = fleet.splice(0, 1);
        if (gone) {
          w.registry.replicas.deregister(gone[0]);
          departed.push(gone[1]);
        }
        const before = listings(w.registry);
        await eventually('the registry is asked', () => listings(w.registry) > before);
      }
      expect(statuses(await callers.stop())).toEqual({ 200: callers.outcomes.length });
      expect(n).toBeGreaterThan(seconds);
      await eventually('only who is listed has series', async () => {
        const text = await (await fetch(`${w.gateway.internal}/metrics`)).text();
        const named = new Set([...text.matchAll(/instance="([^"]+)"/g)].map(([, id]) => id));
        return (
          [...named].toSorted().join() ===
          fleet
            .map(([id]) => id)
            .toSorted()
            .join()
        );
      });
      await eventually('no connection to those that have left is open', () =>
        [w.a, w.b, w.fallback, ...departed].every(({ open }) => open === 0),
      );
    },
    LONG_MS + Number(process.env.CHURN_SECONDS ?? 0) * 1000,
  );
});
