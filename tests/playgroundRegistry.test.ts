import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { portOf } from '../playground/ports.ts';
import { Registration } from '../playground/registration.ts';
import { registryApp } from '../playground/registry/app.ts';
import { check, keepChecking } from '../playground/registry/healthChecks.ts';
import { Replicas } from '../playground/registry/replicas.ts';
import { eventually } from './support/eventually.ts';

const SOON_MS = 1;

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

  it('checks a replica that registers again, unless it is healthy already', async () => {
    upstream.status = 500;
    await call('POST', '/register', replica);
    expect(await listed()).toMatchObject([{ status: 'unhealthy' }]);
    upstream.status = 200;
    await call('POST', '/register', replica);
    expect(await listed()).toMatchObject([{ status: 'healthy' }]);
  });

  it('takes the count of a replica that it does not know, or has forgotten', async () => {
    await call('POST', '/register', { ...replica, request_count: 7 });
    await call('POST', '/register', { ...replica, request_count: 9 });
    expect(await listed()).toMatchObject([{ request_count: 7 }]);
    await call('DELETE', `/deregister?service_id=${replica.host}`);
    await call('POST', '/register', { ...replica, request_count: 9 });
    expect(await listed()).toMatchObject([{ request_count: 9 }]);
  });

  it('gives the place of a replica that died without a word to the one at its address now', async () => {
    await call('POST', '/register', replica);
    await call('PUT', `/increment?service_id=${replica.host}`);
    await call('POST', '/register', { ...replica, host: 'padstack_budgeting-service.1.def' });
    expect(await listed()).toMatchObject([{ id: 'padstack_budgeting-service.1.def', request_count: 0 }]);
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

  it('keeps asking its replicas how they are', async () => {
    const stopping = new AbortController();
    const checking = keepChecking(replicas, stopping.signal, SOON_MS);
    replicas.register(replica);
    const status = () => replicas.list()[0]?.status;
    await eventually('it is healthy', () => status() === 'healthy');
    upstream.status = 500;
    await eventually('it is unhealthy', () => status() === 'unhealthy');
    upstream.status = 200;
    await eventually('it is healthy again', () => status() === 'healthy');
    stopping.abort();
    await checking;
  });

  it('does not bring back a replica that left while it was checked', async () => {
    await check(replicas, replica);
    expect(replicas.list()).toEqual([]);
  });

  describe('registration', () => {
    const stopping = new AbortController();
    let printed: string[];

    beforeEach(() => {
      printed = [];
    });

    function registration(registryUrl: string): Registration {
      const print = (line: string) => void printed.push(line);
      return new Registration({ registryUrl, entry: () => replica, print, checkEveryMs: SOON_MS });
    }

    it('is repeated when the registry has lost it, and given up at the end', async () => {
      const registered = registration(registry);
      await registered.ensure();
      expect(await listed()).toMatchObject([{ id: replica.host, status: 'healthy' }]);
      const kept = registered.keep(stopping.signal);
      await call('DELETE', `/deregister?service_id=${replica.host}`);
      await eventually('it is reported', () => printed.length > 0);
      expect(printed).toEqual(['was missing in the registry, registered again']);
      expect(await listed()).toMatchObject([{ id: replica.host, status: 'healthy' }]);
      stopping.abort();
      await kept;
      expect(await listed()).toEqual([]);
    });

    it('reports a registry that cannot be reached, once', async () => {
      const registered = registration('http://127.0.0.1:1');
      await registered.ensure();
      await registered.ensure();
      expect(printed).toEqual([expect.stringMatching(/^cannot register, trying again: .+/)]);
    });
  });
});
