import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { portOf } from '../playground/ports.ts';
import { registryApp } from '../playground/registry/app.ts';
import { check } from '../playground/registry/healthChecks.ts';
import { Replicas } from '../playground/registry/replicas.ts';
import { eventually } from './support/eventually.ts';
import { startPlayground, type TestPlayground } from './support/playground.ts';

const STARTS_WITHIN_MS = 30_000;
/** More than the services' and the registry's own intervals, on a busy machine. */
const NOTICED_WITHIN_MS = 15_000;

interface Listed {
  readonly id: string;
  readonly host: string;
  readonly name: string;
  readonly url: string;
  readonly status: string;
}

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${portOf(server)}`;
}

describe('registry', () => {
  const upstream = { status: 200, body: { status: 'healthy' } as unknown };
  let servers: Server[];
  let registry: string;
  let replicas: Replicas;
  let replica: { name: string; host: string; port: number; url: string; health_check: string };

  beforeEach(async () => {
    Object.assign(upstream, { status: 200, body: { status: 'healthy' } });
    replicas = new Replicas();
    const service = createServer((_req, res) =>
      res.writeHead(upstream.status).end(JSON.stringify(upstream.body)),
    );
    const server = createServer(registryApp(replicas));
    servers = [service, server];
    const url = await listen(service);
    registry = await listen(server);
    replica = {
      name: 'budgeting',
      host: 'padstack_budgeting-service.1.abc',
      port: 1,
      url,
      health_check: '/health',
    };
  });

  afterEach(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  function call(method: string, path: string, body?: unknown): Promise<Response> {
    const json = { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
    return fetch(registry + path, { method, ...(body !== undefined && json) });
  }

  async function listed(): Promise<unknown> {
    return (await call('GET', '/services')).json();
  }

  it('lists nobody at first, and says that it takes counts', async () => {
    const answer = await call('GET', '/services');
    expect(answer.headers.get('X-Registry-Features')).toBe('increment-count');
    expect(await answer.json()).toEqual([]);
  });

  it('lists a replica in the wire format, checked, as soon as it has registered', async () => {
    expect((await call('POST', '/register', replica)).status).toBe(201);
    expect(await listed()).toEqual([{ id: replica.host, ...replica, status: 'healthy', request_count: 0 }]);
  });

  it('knows a replica that registers again, and keeps its count', async () => {
    await call('POST', '/register', replica);
    await call('PUT', `/increment?service_id=${replica.host}`);
    expect((await call('POST', '/register', replica)).status).toBe(200);
    expect(await listed()).toMatchObject([{ status: 'healthy', request_count: 1 }]);
  });

  it('counts requests one by one and many at once', async () => {
    await call('POST', '/register', replica);
    await call('PUT', `/increment?service_id=${replica.host}`);
    const answer = await call('PUT', `/increment?service_id=${replica.host}&count=41`);
    expect(await answer.json()).toEqual({ id: replica.host, request_count: 42 });
  });

  it('forgets a replica that is deregistered', async () => {
    await call('POST', '/register', replica);
    expect((await call('DELETE', `/deregister?service_id=${replica.host}`)).status).toBe(200);
    expect(await listed()).toEqual([]);
  });

  it('knows a replica by the address of its static upstream too', async () => {
    await call('POST', '/register', replica);
    expect((await call('DELETE', `/deregister?service_id=${new URL(replica.url).host}`)).status).toBe(200);
    expect(await listed()).toEqual([]);
  });

  it.each([
    ['PUT', '/increment?service_id=nobody', 404, 'no replica nobody'],
    ['DELETE', '/deregister?service_id=nobody', 404, 'no replica nobody'],
    ['PUT', '/increment', 400, 'service_id is missing'],
    ['DELETE', '/deregister?service_id=', 400, 'service_id is missing'],
    ['PUT', '/increment?service_id=x&count=0', 400, 'count must be a whole number from 1'],
    ['PUT', '/increment?service_id=x&count=many', 400, 'got "many"'],
    ['POST', '/register', 400, 'name: '],
  ])('%s %s is answered with %i', async (method, path, status, error) => {
    const answer = await call(method, path);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ error: expect.stringContaining(error) });
  });

  it.each([
    ['answers 500', { status: 500 }],
    ['says that it is not well', { body: { status: 'starting' } }],
    ['answers something else', { body: 'healthy' }],
  ])('finds a replica unhealthy that %s', async (_what, sick) => {
    replicas.register(replica);
    expect(replicas.list()).toMatchObject([{ status: 'unknown' }]);
    Object.assign(upstream, sick);
    await check(replicas, replica);
    expect(replicas.list()).toMatchObject([{ status: 'unhealthy' }]);
  });

  it('finds a replica unhealthy that cannot be reached, and healthy again when it can', async () => {
    replicas.register(replica);
    await check(replicas, { ...replica, url: 'http://127.0.0.1:1' });
    expect(replicas.list()).toMatchObject([{ status: 'unhealthy' }]);
    await check(replicas, replica);
    expect(replicas.list()).toMatchObject([{ status: 'healthy' }]);
  });

  it('does not bring back a replica that left while it was checked', async () => {
    await check(replicas, replica);
    expect(replicas.list()).toEqual([]);
  });
});

describe('registry of the playground', () => {
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground(['--no-gateway', '--replicas=budgeting=2']);
  }, STARTS_WITHIN_MS);

  afterAll(async () => {
    await playground?.stop();
  });

  async function listed(): Promise<Listed[]> {
    return (await (await fetch(`${playground.urls.registry}/services`)).json()) as Listed[];
  }

  async function budgeting(): Promise<Listed[]> {
    return (await listed()).filter(({ name }) => name === 'budgeting');
  }

  it('lists every replica as healthy under its registry name when the playground is ready', async () => {
    const services = await listed();
    const names = new Set(services.map(({ name }) => name));
    expect(services).toHaveLength(11);
    expect([...names].sort().join(' ')).toBe(
      'budgeting cab-booking checkin communication fund-raising lost-found notification sharing tea-management user-management',
    );
    for (const { host, status, url } of services) {
      expect(host).toMatch(/^padstack_[a-z-]+-service\.[12]\.[a-z0-9]{25}$/);
      expect(status).toBe('healthy');
      expect((await fetch(`${url}/health`)).headers.get('X-Replica')).toBe(host);
    }
  });

  it(
    'lists a replica that was deregistered again before long',
    async () => {
      const [tripped] = await budgeting();
      const call = `${playground.urls.registry}/deregister?service_id=${tripped?.id}`;
      expect((await fetch(call, { method: 'DELETE' })).status).toBe(200);
      expect(await budgeting()).toHaveLength(1);
      await eventually('it is back', async () => (await budgeting()).length === 2, NOTICED_WITHIN_MS);
      const said = () => playground.output().includes('was missing in the registry, registered again');
      await eventually('it is reported', said);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'loses a replica that stops in order, and finds one unhealthy that is killed',
    async () => {
      process.kill(playground.pids['budgeting.1'] ?? 0, 'SIGTERM');
      await eventually('it has left', async () => (await budgeting()).length === 1);
      process.kill(playground.pids['budgeting.2'] ?? 0, 'SIGKILL');
      const found = async () => (await budgeting())[0]?.status === 'unhealthy';
      await eventually('it is found unhealthy', found, NOTICED_WITHIN_MS);
    },
    STARTS_WITHIN_MS,
  );
});
