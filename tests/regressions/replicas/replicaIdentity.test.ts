import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const CIRCUIT_OPEN = 503;
const DISCOVERED = 'Discovered 1 replicas of /budgeting';
const broken: RequestListener = (_req, res) => void res.writeHead(500).end();

/** A registry with a list that the test writes, and a gateway that looks at it all the time. */
async function world(list: unknown, env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const listing = { body: list };
  const registry = stack.use(
    await startUpstream((req, res) => sendJson(res, req.method === 'GET' ? listing.body : {})),
  );
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': { upstreams: [] }, '/sharing': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: registry.url.origin, SERVICE_REFRESH_INTERVAL: '20ms', ...env },
    }),
  );
  const looks = () => registry.requests.filter(({ method }) => method === 'GET').length;
  const lookedAgain = async () => {
    const before = looks();
    await eventually('the gateway has looked again', () => looks() >= before + 3);
  };
  await lookedAgain();
  return {
    gateway,
    lookedAgain,
    async lists(body: unknown) {
      listing.body = body;
      await lookedAgain();
    },
    told: (method: string) =>
      registry.requests.filter((request) => request.method === method).map(({ target }) => target),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function entry({ url }: Upstream, fields: object = {}) {
  return { name: 'budgeting', host: url.hostname, port: Number(url.port), status: 'healthy', ...fields };
}

async function ask({ internal }: Pick<TestGateway, 'internal'>, service = 'budgeting'): Promise<number> {
  return (await fetch(`${internal}/internal/${service}/x`, { method: 'POST' })).status;
}

async function trip(gateway: TestGateway): Promise<void> {
  for (let n = 0; n < 3; n += 1) expect(await ask(gateway)).toBe(500);
  expect(await ask(gateway)).toBe(CIRCUIT_OPEN);
}

async function instances({ internal }: Pick<TestGateway, 'internal'>): Promise<string[]> {
  const text = await (await fetch(`${internal}/metrics`)).text();
  const found = text.matchAll(/^gateway_lb_instance_health\{service="\/budgeting",instance="([^"]+)"/gm);
  return [...found].map(([, instance]) => String(instance));
}

const messages = (gateway: TestGateway) => gateway.logLines().map(({ message }) => String(message));

describe('a registry without ids', () => {
  it('can list two services on one host', async () => {
    await using a = await startUpstream();
    await using b = await startUpstream();
    await using w = await world([entry(a), entry(b, { name: 'sharing' })]);
    expect([await ask(w.gateway), await ask(w.gateway, 'sharing')]).toEqual([200, 200]);
    expect([a.requests.length, b.requests.length]).toEqual([1, 1]);
  });

  it('can list two replicas on one host: the later one is called after its port as well', async () => {
    await using a = await startUpstream();
    await using b = await startUpstream();
    await using w = await world([entry(a), entry(b)]);
    for (let n = 0; n < 4; n += 1) expect(await ask(w.gateway)).toBe(200);
    expect([a.requests.length, b.requests.length]).toEqual([2, 2]);
    expect(await instances(w.gateway)).toEqual(['127.0.0.1', b.url.host]);
  });

  it('can move a replica to another port: the log tells of both', async () => {
    await using here = await startUpstream();
    await using there = await startUpstream();
    await using stack = await world([entry(here)]);
    await stack.lists([entry(there)]);
    const last = stack.gateway.logLines().findLast(({ message }) => message === DISCOVERED);
    expect(last).toMatchObject({ joined: there.url.host, left: here.url.host });
  });
});

describe('a replica whose breaker is open', () => {
  it('is another one when it is back on a new port with the same id', async () => {
    await using dead = await startUpstream(broken);
    await using back = await startUpstream();
    await using w = await world([entry(dead, { id: 'one' })]);
    await trip(w.gateway);
    await w.lists([entry(back, { id: 'one' })]);
    expect(await ask(w.gateway)).toBe(200);
  });

  it('is the same one when it is registered anew under another id', async () => {
    await using dead = await startUpstream(broken);
    await using w = await world([entry(dead, { id: crypto.randomUUID() })]);
    await trip(w.gateway);
    await w.lists([entry(dead, { id: crypto.randomUUID() })]);
    expect(await ask(w.gateway)).toBe(CIRCUIT_OPEN);
    expect(dead.requests).toHaveLength(3);
  });
});

describe('an open breaker', () => {
  it('outlives the departure of its replica, whatever id that comes back with', async () => {
    await using dead = await startUpstream(broken);
    await using good = await startUpstream();
    await using w = await world([entry(dead, { id: 'old' })]);
    await trip(w.gateway);
    await w.lists([entry(good)]);
    await w.lists([entry(dead, { id: 'new' }), entry(good)]);
    for (let n = 0; n < 10; n += 1) expect(await ask(w.gateway)).toBe(200);
    expect(dead.requests).toHaveLength(3);
  });
});

describe('a registry whose ids are its own affair', () => {
  it('is told of requests and trips by host, with the lines of the original', async () => {
    await using dead = await startUpstream(broken);
    await using w = await world([entry(dead, { id: crypto.randomUUID() })]);
    await trip(w.gateway);
    await eventually('it is deregistered', () => w.told('DELETE').length > 0);
    expect(w.told('DELETE')).toEqual(['/deregister?service_id=127.0.0.1']);
    await eventually('its requests are told', () => w.told('PUT').length === 3);
    expect(new Set(w.told('PUT'))).toEqual(new Set(['/increment?service_id=127.0.0.1']));
    const done = '✅ Successfully deregistered replica: 127.0.0.1';
    await eventually('the log says so', () => messages(w.gateway).includes(done));
    const lines = messages(w.gateway);
    const [tripped, extracted, sending, deregistered] = [
      `🚨 CIRCUIT BREAKER TRIPPED for ${dead.url.origin} - deregistering`,
      '🔍 Extracted replica ID: 127.0.0.1',
      lines.find((line) => line.startsWith('🗑️  Sending deregister request: http')) ?? '',
      done,
    ].map((line) => lines.indexOf(line));
    expect([tripped, extracted, sending, deregistered]).toEqual([
      tripped,
      Number(tripped) + 1,
      Number(tripped) + 2,
      expect.any(Number),
    ]);
    expect(tripped).toBeGreaterThanOrEqual(0);
  });

  it('is told by its latest id where it wants to be', async () => {
    await using dead = await startUpstream(broken);
    const env = {
      SERVICE_DISCOVERY_INCREMENT: '/services/increment?id={id}',
      SERVICE_DISCOVERY_DEREGISTER: '/{host}/{port}/{id}',
    };
    await using w = await world([entry(dead, { id: 'old' })], env);
    await w.lists([entry(dead, { id: 'new' })]);
    await trip(w.gateway);
    await eventually('it is deregistered', () => w.told('DELETE').length > 0);
    expect(w.told('DELETE')).toEqual([`/127.0.0.1/${dead.url.port}/new`]);
    expect(new Set(w.told('PUT'))).toEqual(new Set(['/services/increment?id=new']));
  });

  it.each([
    { by: 'host', env: {} as Record<string, string> },
    { by: 'an id that it has not given', env: { SERVICE_DISCOVERY_DEREGISTER: '/deregister/{id}' } },
  ])('is never told to forget by $by whom others share a host with', async ({ env }) => {
    await using dead = await startUpstream(broken);
    await using other = await startUpstream();
    await using w = await world([entry(dead), entry(other, { name: 'of no service here' })], env);
    await trip(w.gateway);
    await w.lookedAgain();
    expect(w.told('DELETE')).toEqual([]);
    const why = messages(w.gateway).filter((line) => line.includes('stays registered'));
    expect(why).toEqual([expect.stringContaining(`The replica at ${dead.url.host} stays registered`)]);
  });
});

describe('a registry that lists nobody', () => {
  it.each([
    ['null', null],
    ['services: null', { services: null }],
  ])('may say so by %s', async (_how, body) => {
    await using a = await startUpstream();
    await using w = await world([entry(a)]);
    await w.lists(body);
    expect(await ask(w.gateway)).toBe(200);
    expect(await w.gateway.metric('gateway_registry_errors_total', { call: 'list' })).toBe(0);
  });
});

describe('worker threads', () => {
  it('call replicas what the main thread calls them, and tell the registry by their latest ids', async () => {
    await using good = await startUpstream();
    await using dead = await startUpstream(broken);
    const listing = { body: [entry(good, { id: 'good-1' }), entry(dead, { id: 'dead-1' })] };
    await using registry = await startUpstream((req, res) =>
      sendJson(res, req.method === 'GET' ? listing.body : {}),
    );
    const told = (method: string) =>
      registry.requests.filter((request) => request.method === method).map(({ target }) => target);
    await using gateway = await startGatewayProcess({
      services: { '/budgeting': { upstreams: [] } },
      env: {
        WORKERS: '2',
        SERVICE_DISCOVERY_URL: registry.url.origin,
        SERVICE_REFRESH_INTERVAL: '50ms',
        SERVICE_DISCOVERY_INCREMENT: '/increment/{id}',
        SERVICE_DISCOVERY_DEREGISTER: '/deregister/{id}/{port}',
      },
    });
    await eventually('the replicas are known', async () => (await instances(gateway)).length === 2);
    listing.body = [entry(dead, { id: 'dead-2' }), entry(good, { id: 'good-2' })];
    await eventually('the latest id is told', async () => {
      await ask(gateway);
      return told('PUT').includes('/increment/good-2');
    });
    // One thread knows it; the other does once the registry was read again.
    const listed = told('GET').length;
    await eventually('both threads know it', () => told('GET').length >= listed + 3);
    await eventually('it trips', async () => {
      await ask(gateway);
      return told('DELETE').length > 0;
    });
    expect(told('DELETE')).toEqual([`/deregister/dead-2/${dead.url.port}`]);
    expect((await instances(gateway)).toSorted()).toEqual(['127.0.0.1', dead.url.host]);
    const trips = `gateway_circuit_breaker_trips_total{service="/budgeting",instance="${dead.url.host}"} 1`;
    await eventually('the trip is counted', async () => {
      return (await (await fetch(`${gateway.internal}/metrics`)).text()).includes(trips);
    });
  });
});
