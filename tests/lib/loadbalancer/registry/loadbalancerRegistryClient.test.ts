import { afterEach, describe, expect, it } from '@jest/globals';
import { registeredAs } from '../../../../lib/loadbalancer/registry/registered.ts';
import {
  RegistryClient,
  type RegistryClientOptions,
} from '../../../../lib/loadbalancer/registry/registryClient.ts';
import type { RegistryError } from '../../../../lib/loadbalancer/registry/registryError.ts';
import { registryForms } from '../../../../lib/loadbalancer/registry/registryForms.ts';
import { registryApp } from '../../../../playground/registry/app.ts';
import { Replicas } from '../../../../playground/registry/replicas.ts';
import { eventually } from '../../../support/eventually.ts';
import { ManualClock } from '../../../support/manualClock.ts';
import { registered } from '../../../support/upstreams/registered.ts';
import {
  hangs,
  refusedUrl,
  resets,
  says,
  saysAndCloses,
  saysAndResets,
  sendJson,
  startRawUpstream,
  startUpstream,
} from '../../../support/upstreams/upstream.ts';

const MIB = 1024 * 1024;
const ENTRY = {
  id: 'budgeting.1',
  name: 'budgeting',
  host: 'budgeting.1.task',
  port: 8087,
  status: 'healthy',
};

const clients: RegistryClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

/** Never times out by itself: its clock stands still. */
function clientOf(url: URL, options: Partial<RegistryClientOptions> = {}): RegistryClient {
  const client = new RegistryClient({
    url: url.href,
    timeoutMs: 3000,
    forms: [{ increment: '/increment?service_id={host}', deregister: '/deregister?service_id={host}' }],
    clock: new ManualClock(),
    ...options,
  });
  clients.push(client);
  return client;
}

async function errorOf(call: Promise<unknown>): Promise<RegistryError> {
  const [{ status, reason }] = (await Promise.allSettled([call])) as [PromiseRejectedResult];
  expect(status).toBe('rejected');
  expect(reason.name).toBe('RegistryError');
  return reason;
}

function answer(status: string, fields: string, body = ''): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Until it goes out of scope. */
function setEnvironment(variables: Record<string, string>): Disposable {
  const before = process.env;
  process.env = { ...before, ...variables };
  return {
    [Symbol.dispose]() {
      process.env = before;
    },
  };
}

describe('RegistryClient', () => {
  it("speaks with the playground's registry", async () => {
    const replicas = new Replicas();
    const host = 'padstack_budgeting-service.1.abc';
    const url = 'http://127.0.0.1:4000';
    replicas.register({ name: 'budgeting', host, port: 4000, url, health_check: '/health' });
    await using registry = await startUpstream(
      registryApp(replicas, { form: 'document', countsIncrements: true }),
    );
    const client = clientOf(registry.url);

    const replica = {
      key: `${host}@127.0.0.1:4000`,
      registered: registeredAs({ id: replicas.list()[0]?.id, host, port: 4000 }),
      name: 'budgeting',
      url: new URL(url),
      healthy: true,
      requestCount: 0,
    };
    expect(await client.list()).toEqual({ listed: [replica], skipped: [], countsIncrements: true });
    expect(client.countsIncrements).toBe(true);
    await client.increment(registered(host));
    await client.increment(registered(host), 41);
    replicas.setStatus(host, 'unhealthy');
    expect((await client.list()).listed).toEqual([{ ...replica, healthy: false, requestCount: 42 }]);
    await client.deregister(registered(host));
    expect((await client.list()).listed).toEqual([]);
    expect(registry.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      'GET /services',
      `PUT /increment?service_id=${host}`,
      `PUT /increment?service_id=${host}&count=41`,
      'GET /services',
      `DELETE /deregister?service_id=${host}`,
      'GET /services',
    ]);
    expect(new Set(registry.requests.map(({ connection }) => connection))).toEqual(new Set([1]));
  });

  it('takes paths below its url, templates without a query, and any id', async () => {
    await using registry = await startUpstream();
    const client = clientOf(new URL('/registry/v1/', registry.url), {
      forms: [{ increment: '/services/{id}/increment', deregister: '/services/{id}' }],
    });
    await client.increment(registered('a/b?c&d#é%'));
    await client.increment(registered('::1'), 2);
    await client.deregister(registered('broken \ud800'));
    expect(registry.requests.map(({ target }) => target)).toEqual([
      '/registry/v1/services/a%2Fb%3Fc%26d%23%C3%A9%25/increment',
      '/registry/v1/services/%3A%3A1/increment?count=2',
      '/registry/v1/services/broken%20%EF%BF%BD',
    ]);
  });

  describe('of a registry whose form nobody has told it', () => {
    const FORMS = registryForms({});
    const at = registeredAs({ id: 'uuid', host: 'a', port: 1 });

    /** A registry that accepts the targets that hold `accepted`, and what it was asked. */
    async function startPicky(accepted: string) {
      const picky = { accepted };
      const registry = await startUpstream((req, res) =>
        sendJson(res, {}, req.url?.includes(picky.accepted) ? 200 : 404),
      );
      const asked = () => registry.requests.map(({ method, target }) => `${method} ${target}`);
      return Object.assign(picky, registry, { asked });
    }

    it.each([
      [
        '?id=',
        [
          'PUT /increment?service_id=a',
          'PUT /services/increment?id=uuid',
          'PUT /services/increment?id=uuid',
          'DELETE /deregister?id=a',
        ],
      ],
      [
        'service_id=',
        ['PUT /increment?service_id=a', 'PUT /increment?service_id=a', 'DELETE /deregister?service_id=a'],
      ],
    ])('uses the one with %s, which it accepts', async (accepted, calls) => {
      await using registry = await startPicky(accepted);
      const client = clientOf(registry.url, { forms: FORMS });
      for (let n = 0; n < 2; n += 1) await client.increment(at);
      await client.deregister(at);
      expect(registry.asked()).toEqual(calls);
    });

    it('follows a registry that is replaced by the other release', async () => {
      await using registry = await startPicky('?id=');
      const client = clientOf(registry.url, { forms: FORMS });
      await client.increment(at);
      registry.accepted = 'service_id=';
      await client.increment(at);
      expect(client.deregisterUrl(at)).toBe(`${registry.url.origin}/deregister?service_id=a`);
    });

    it('rejects with what the registry says to the form that it knows', async () => {
      await using registry = await startPicky('?id=uuid');
      const client = clientOf(registry.url, { forms: FORMS });
      await client.increment(at);
      const { message } = await errorOf(client.increment(registeredAs({ id: 'gone', host: 'b', port: 1 })));
      expect(message).toContain(`PUT ${registry.url.origin}/services/increment?id=gone failed`);
      expect(registry.asked().slice(2)).toEqual([
        'PUT /services/increment?id=gone',
        'PUT /increment?service_id=b',
      ]);
    });

    it('asks a registry that is away once', async () => {
      await using registry = await startUpstream((_req, res) => sendJson(res, {}, 500));
      expect(await errorOf(clientOf(registry.url, { forms: FORMS }).deregister(at))).toMatchObject({
        isAway: true,
      });
      expect(registry.requests).toHaveLength(1);
    });

    it('asks once where a template is given, and makes the other call in both forms', async () => {
      await using registry = await startPicky('?id=');
      const forms = registryForms({ deregister: '/forget/{host}' });
      const client = clientOf(registry.url, { forms });
      await errorOf(client.deregister(at));
      await client.increment(at);
      expect(registry.asked()).toEqual([
        'DELETE /forget/a',
        'PUT /increment?service_id=a',
        'PUT /services/increment?id=uuid',
      ]);
    });

    it('must be one at least', () => {
      expect(() => clientOf(new URL('http://registry'), { forms: [] })).toThrow('forms must hold one');
    });
  });

  it.each([
    [undefined, false],
    ['other', false],
    ['other, increment-count', true],
  ])('with X-Registry-Features %p counts increments: %p', async (features, counts) => {
    await using registry = await startUpstream((_req, res) => {
      if (features) res.setHeader('X-Registry-Features', features);
      sendJson(res, []);
    });
    expect(await clientOf(registry.url).list()).toMatchObject({ listed: [], countsIncrements: counts });
  });

  it('reads 10,000 replicas', async () => {
    const entries = Array.from({ length: 10_000 }, (_, index) => ({ ...ENTRY, port: 1 + index }));
    await using registry = await startUpstream((_req, res) => sendJson(res, entries));
    expect((await clientOf(registry.url).list()).listed).toHaveLength(10_000);
  });

  it('reads a list with the wrong content type', async () => {
    await using registry = await startUpstream((_req, res) => {
      res.setHeader('Content-Type', 'text/html').end(JSON.stringify([ENTRY]));
    });
    expect((await clientOf(registry.url).list()).listed).toHaveLength(1);
  });

  it.each([
    ['HTML', answer('200 OK', 'Content-Type: application/json\r\n', '<html>hi'), 'got HTML "<html>hi"'],
    ['nothing', answer('200 OK', ''), 'got nothing'],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 'got nothing'],
    ['half a list', answer('200 OK', '', '[{"id":'), 'got text "[{\\"id\\":"'],
    ['500', answer('500 Oops', '', 'secret trace'), 'it answered 500'],
    ['404', answer('404 Not Found', ''), 'it answered 404'],
    ['304', 'HTTP/1.1 304 Not Modified\r\n\r\n', 'it answered 304, and redirects are not followed'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'Parse Error'],
  ])('rejects when the registry answers %s', async (_what, bytes, reason) => {
    await using registry = await startRawUpstream(says(bytes));
    const { message } = await errorOf(clientOf(registry.url).list());
    expect(message).toContain(`registry: GET ${registry.url.origin}/services failed: `);
    expect(message).toContain(reason);
  });

  it('follows no redirect', async () => {
    await using elsewhere = await startUpstream((_req, res) => sendJson(res, [ENTRY]));
    await using registry = await startUpstream((_req, res) => {
      res.writeHead(302, { Location: elsewhere.url.href }).end();
    });
    const error = await errorOf(clientOf(registry.url).list());
    expect(error).toMatchObject({ message: expect.stringContaining('it answered 302'), isAway: false });
    expect(elsewhere.requests).toEqual([]);
  });

  it('asks no proxy', async () => {
    await using proxy = await startUpstream();
    await using registry = await startUpstream((_req, res) => sendJson(res, []));
    using _environment = setEnvironment({ http_proxy: proxy.url.href, no_proxy: '', NO_PROXY: '' });
    await clientOf(registry.url).list();
    expect(proxy.requests).toEqual([]);
    expect(registry.requests).toHaveLength(1);
  });

  it.each([
    ['resets the connection', resets, 'ECONNRESET'],
    ['closes the connection', saysAndCloses(''), 'socket hang up'],
    [
      'breaks off in the middle',
      saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n['),
      'ECONNRESET',
    ],
    ['ends too early', saysAndCloses('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[]'), 'aborted'],
  ])('rejects when the registry %s', async (_what, behaviour, reason) => {
    await using registry = await startRawUpstream(behaviour);
    const error = await errorOf(clientOf(registry.url).list());
    expect(error).toMatchObject({ message: expect.stringContaining(reason), isAway: true });
  });

  it.each(['127.0.0.1', 'localhost'])('rejects when nobody listens on %s', async (hostname) => {
    const url = refusedUrl();
    url.hostname = hostname;
    expect((await errorOf(clientOf(url).list())).message).toContain('ECONNREFUSED');
  });

  it.each([
    ['list', (client: RegistryClient) => client.list()],
    ['increment', (client: RegistryClient) => client.increment(registered('budgeting.1'))],
    ['deregister', (client: RegistryClient) => client.deregister(registered('budgeting.1'))],
  ])('gives up %s after its timeout, and the connection too', async (_name, call) => {
    const clock = new ManualClock();
    await using registry = await startRawUpstream(hangs);
    const failure = errorOf(call(clientOf(registry.url, { clock, timeoutMs: 30_000 })));
    await eventually('it is asked', () => registry.requests.length === 1);
    clock.advance(29_999);
    clock.advance(1);
    expect(await failure).toMatchObject({
      message: expect.stringContaining('no whole response within 30000 ms'),
      status: undefined,
      isAway: true,
    });
    await eventually('the connection is closed', () => registry.open === 0);
    expect(clock.pending).toBe(0);
  });

  it('gives up a response that never ends, however fast it comes', async () => {
    const clock = new ManualClock();
    let written = 0;
    await using registry = await startUpstream((_req, res) => {
      const write = () => {
        written += 1;
        if (!res.destroyed) res.write(' ', () => setImmediate(write));
      };
      write();
    });
    const failure = errorOf(clientOf(registry.url, { clock }).list());
    await eventually('it trickles', () => written > 50);
    clock.advance(3000);
    expect((await failure).message).toContain('no whole response within 3000 ms');
    await eventually('the connection is closed', () => registry.open === 0);
  });

  it('times out by the real clock as well', async () => {
    await using registry = await startRawUpstream(hangs);
    const client = new RegistryClient({
      url: registry.url.href,
      timeoutMs: 20,
      forms: [{ increment: '/{id}', deregister: '/{id}' }],
    });
    expect((await errorOf(client.list())).message).toContain('no whole response within 20 ms');
  });

  it('reads no more than 16 MiB', async () => {
    await using registry = await startUpstream((_req, res) => {
      res.write('[');
      for (let sent = 0; sent < 17; sent += 1) res.write(' '.repeat(MIB));
      res.end(']');
    });
    const { message } = await errorOf(clientOf(registry.url).list());
    expect(message).toContain(`maxContentLength size of ${16 * MIB} exceeded`);
    await eventually('the connection is closed', () => registry.open === 0);
  });

  it('shows no password, and uses it', async () => {
    await using registry = await startUpstream((_req, res) => sendJson(res, {}, 401));
    const url = new URL(registry.url);
    Object.assign(url, { username: 'gateway', password: 'p@ss word' });
    const error = await errorOf(clientOf(url).list());
    expect(error.message).toBe(`registry: GET ${registry.url.origin}/services failed: it answered 401`);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/gateway|p%40ss|p@ss/);
    const fields = registry.requests[0]?.fields ?? [];
    const given = fields[fields.indexOf('Authorization') + 1];
    expect(given).toBe(`Basic ${Buffer.from('gateway:p@ss word').toString('base64')}`);
  });

  it('ends what is under way when it is closed, and refuses what comes later', async () => {
    const clock = new ManualClock();
    await using registry = await startRawUpstream(hangs);
    const client = clientOf(registry.url, { clock });
    const failures = [errorOf(client.list()), errorOf(client.increment(registered('budgeting.1')))];
    await eventually('both are asked', () => registry.requests.length === 2);
    client.close();
    for (const failure of failures) expect((await failure).message).toContain('the client is closed');
    await eventually('the connections are closed', () => registry.open === 0);
    expect((await errorOf(client.deregister(registered('budgeting.1')))).message).toContain(
      'the client is closed',
    );
    expect(registry.requests).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it.each(['increment/{id}', '/increment'])('refuses the template %s', (increment) => {
    const forms = [{ increment, deregister: '/{id}' }];
    const build = () => clientOf(new URL('http://registry'), { forms });
    expect(build).toThrow(`must start with / and hold {id} or {host}, got "${increment}"`);
  });
});
