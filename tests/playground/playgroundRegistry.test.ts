import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ListedReplica } from '../../lib/loadbalancer/registry/listing.ts';
import { RegistryClient } from '../../lib/loadbalancer/registry/registryClient.ts';
import { registryForms } from '../../lib/loadbalancer/registry/registryForms.ts';
import { portOf } from '../../playground/ports.ts';
import { registryApp } from '../../playground/registry/app.ts';
import { REGISTRY_FORMS, type RegistryForm } from '../../playground/registry/forms.ts';
import { check, keepChecking } from '../../playground/registry/healthChecks.ts';
import { Replicas } from '../../playground/registry/replicas.ts';
import { Registration } from '../../playground/replica/registration.ts';
import { eventually } from '../support/eventually.ts';

const SOON_MS = 1;
const WELL = { message: 'Service is healthy', requestsCount: 3 };
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT/;

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${portOf(server)}`;
}

describe('registry', () => {
  const upstream = { status: 200, body: WELL as unknown };
  let servers: Server[];
  let registry: string;
  let replicas: Replicas;
  let replica: { name: string; host: string; port: number; url: string; health_check: string };

  beforeEach(async () => {
    Object.assign(upstream, { status: 200, body: WELL });
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

  async function register(fields: object = {}): Promise<string> {
    const answer = await call('POST', '/register', { ...replica, ...fields });
    expect(answer.status).toBe(201);
    return ((await answer.json()) as { id: string }).id;
  }

  it('lists nobody as null, and announces nothing that the real one does not know', async () => {
    const answer = await call('GET', '/services');
    expect(answer.headers.get('X-Registry-Features')).toBeNull();
    expect(await answer.json()).toBeNull();
  });

  it('answers a registration with a UUID, and lists the replica, checked, in the wire format', async () => {
    const answer = await call('POST', '/register', replica);
    expect(answer.status).toBe(201);
    const registered = (await answer.json()) as { id: string };
    const times = { registered_at: expect.stringMatching(TIME) };
    expect(registered).toEqual({
      ...{ ...replica, ...times, id: expect.stringMatching(UUID), status: 'healthy' },
    });
    const last_check = expect.stringMatching(TIME);
    const found = { ...replica, ...times, id: registered.id, status: 'healthy', last_check };
    expect(await listed()).toEqual([{ ...found, request_count: 0, message: 'Service is healthy' }]);
  });

  it('lists one service, also as the gateway route does', async () => {
    const id = await register();
    await register({ name: 'sharing', host: 'other', url: 'http://127.0.0.1:1' });
    expect(await (await call('GET', '/services?name=budgeting')).json()).toMatchObject([{ id }]);
    expect(await (await call('GET', '/services?name=nobody')).json()).toBeNull();
    const answer = await call('GET', '/gateway/services?name=budgeting');
    expect(await answer.json()).toEqual({
      name: 'budgeting',
      instances: [{ id, host: replica.host, port: 1, status: 'healthy', request_count: 0 }],
      total: 1,
      healthy: 1,
    });
  });

  it('gives a replica that registers anew another id, and begins to count again', async () => {
    const id = await register();
    await call('PUT', `/services/increment?id=${id}`);
    expect(await register()).not.toBe(id);
    expect(await listed()).toMatchObject([{ host: replica.host, request_count: 0 }]);
  });

  it('checks a replica that registers, with or without a slash before its path or a url', async () => {
    upstream.status = 500;
    await register({ health_check: 'health' });
    expect(await listed()).toMatchObject([{ status: 'unhealthy', message: '' }]);
    upstream.status = 200;
    await register({ health_check: 'health' });
    expect(await listed()).toMatchObject([{ status: 'healthy' }]);
    await call('DELETE', `/deregister?id=${replica.host}`);
    await register({ host: '127.0.0.1', port: Number(new URL(replica.url).port), url: undefined });
    expect(await listed()).toMatchObject([{ host: '127.0.0.1', status: 'healthy' }]);
  });

  it('gives the place of a replica that died without a word to the one at its address now', async () => {
    await register();
    await register({ host: 'padstack_budgeting-service.1.def' });
    expect(await listed()).toMatchObject([{ host: 'padstack_budgeting-service.1.def', request_count: 0 }]);
  });

  describe.each(REGISTRY_FORMS)('of the form %s', (form) => {
    beforeEach(async () => {
      const server = createServer(registryApp(replicas, { form }));
      servers.push(server);
      registry = await listen(server);
    });

    const [path, name] = (
      { stack: ['/services/increment', 'id'], document: ['/increment', 'service_id'] } as const
    )[form];

    it('counts requests one by one, and forgets by host', async () => {
      const id = await register();
      const key = form === 'stack' ? id : replica.host;
      for (let n = 0; n < 2; n += 1)
        expect((await call('PUT', `${path}?${name}=${key}&count=9`)).status).toBe(200);
      expect(await listed()).toMatchObject([{ request_count: 2 }]);
      expect((await call('DELETE', `/deregister?${name}=${id}`)).status).toBe(404);
      expect((await call('DELETE', `/deregister?${name}=${replica.host}`)).status).toBe(200);
      expect(await listed()).toBeNull();
    });

    it.each([
      ['PUT', `${path}?${name}=nobody`, 404, 'no replica nobody'],
      ['DELETE', `/deregister?${name}=nobody`, 404, 'no replica nobody'],
      ['PUT', path, 400, `${name} is missing`],
      ['DELETE', `/deregister?${name}=`, 400, `${name} is missing`],
      ['DELETE', `/deregister?other=${'padstack_budgeting-service.1.abc'}`, 400, `${name} is missing`],
      ['POST', '/register', 400, 'name: '],
    ])('%s %s is answered with %i', async (method, target, status, error) => {
      await register();
      const answer = await call(method, target);
      expect(answer.status).toBe(status);
      expect(await answer.json()).toEqual({ error: expect.stringContaining(error) });
    });

    it('does not know the calls of the other', async () => {
      const id = await register();
      const other =
        form === 'stack' ? `/increment?service_id=${replica.host}` : `/services/increment?id=${id}`;
      expect((await call('PUT', other)).status).toBe(404);
    });

    it('is told by a gateway that knows neither', async () => {
      await register();
      const client = new RegistryClient({ url: registry, timeoutMs: 5000, forms: registryForms({}) });
      const [found] = (await client.list()).listed;
      for (let n = 0; n < 3; n += 1) await client.increment((found as ListedReplica).registered);
      expect(await listed()).toMatchObject([{ request_count: 3 }]);
      await client.deregister((found as ListedReplica).registered);
      expect(await listed()).toBeNull();
      client.close();
    });
  });

  it('counts many at once where it is made to', async () => {
    const server = createServer(registryApp(replicas, { form: 'document', countsIncrements: true }));
    servers.push(server);
    registry = await listen(server);
    await register();
    expect((await call('GET', '/services')).headers.get('X-Registry-Features')).toBe('increment-count');
    await call('PUT', `/increment?service_id=${replica.host}&count=41`);
    expect((await call('PUT', `/increment?service_id=${replica.host}&count=0`)).status).toBe(400);
    expect(await listed()).toMatchObject([{ request_count: 41 }]);
  });

  it.each([
    ['answers 500', { status: 500 }],
    ['says that it is not well', { body: { message: 'Service is starting' } }],
    ['answers something else', { body: 'healthy' }],
  ])('finds a replica unhealthy that %s', async (_what, sick) => {
    const registered = replicas.register(replica);
    expect(replicas.list()).toMatchObject([{ status: 'unknown' }]);
    Object.assign(upstream, sick);
    await check(replicas, registered);
    expect(replicas.list()).toMatchObject([{ status: 'unhealthy' }]);
  });

  it('finds a replica unhealthy that cannot be reached, and healthy again when it can', async () => {
    const registered = replicas.register(replica);
    await check(replicas, { ...registered, url: 'http://127.0.0.1:1' });
    expect(replicas.list()).toMatchObject([{ status: 'unhealthy' }]);
    await check(replicas, registered);
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
    const registered = replicas.register(replica);
    replicas.deregister(replica.host);
    await check(replicas, registered);
    expect(replicas.list()).toEqual([]);
  });

  describe('registration', () => {
    let stopping: AbortController;
    let printed: string[];

    beforeEach(() => {
      stopping = new AbortController();
      printed = [];
    });

    function registration(registryUrl: string): Registration {
      const print = (line: string) => void printed.push(line);
      return new Registration({ registryUrl, entry: replica, print, checkEveryMs: SOON_MS });
    }

    it.each(REGISTRY_FORMS)(
      'is made anew when the registry, form %s, has lost it, and given up at the end',
      async (form: RegistryForm) => {
        const server = createServer(registryApp(replicas, { form }));
        servers.push(server);
        const registered = registration(await listen(server));
        await registered.ensure();
        const [{ id } = { id: '' }] = replicas.list();
        await registered.ensure();
        expect(replicas.list()).toMatchObject([{ id, status: 'healthy' }]);
        const kept = registered.keep(stopping.signal);
        replicas.deregister(replica.host);
        await eventually('it is reported', () => printed.length > 0);
        expect(printed).toEqual(['was missing in the registry, registered again']);
        expect(replicas.list()).toMatchObject([{ host: replica.host, status: 'healthy' }]);
        expect(replicas.list()[0]?.id).not.toBe(id);
        stopping.abort();
        await kept;
        expect(replicas.list()).toEqual([]);
      },
    );

    it('reports a registry that cannot be reached, once', async () => {
      const registered = registration('http://127.0.0.1:1');
      await registered.ensure();
      await registered.ensure();
      expect(printed).toEqual([expect.stringMatching(/^cannot register, trying again: .+/)]);
    });
  });
});
