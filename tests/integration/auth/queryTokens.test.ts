import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, jest } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import {
  connectSignalR,
  type Hub,
  type SignalR,
  startHub,
  TRANSPORTS,
} from '../../support/clients/signalR.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { secretsIn } from '../../support/secrets.ts';
import { emptyTestRedis, probeTokens } from '../../support/stores/storeProbe.ts';
import { startRawUpstream, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real sockets and a Redis on a machine that may be busy.
jest.setTimeout(30_000);

const ADMIN_TOKEN = 'what-only-operators-know-here';
const HUB = '/communication/hubs/chat';
const EVENTS = 'Accept: text/event-stream';
const WEB_SOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const ann = tokenFor('ann');

/** As the stack has it: nothing is said of query tokens. */
async function start(service: Hub | Upstream, env: Record<string, string> = {}, more: object = {}) {
  const services = { '/communication': [service], '/userManagement': [service], '/budgeting': [service] };
  return startGateway({ services, env: { ADMIN_TOKEN, LOG_LEVEL: 'debug', ...env }, ...more });
}

const says: (fields?: Record<string, string>) => (req: IncomingMessage, res: ServerResponse) => void =
  (fields = {}) =>
  ({ headers }, res) =>
    void res.writeHead(200, fields).end(`hello ${headers['x-auth-subject']}`);

const events = (gateway: TestGateway, query: string, ...fields: string[]) =>
  sendRaw(gateway.external, request(`GET /communication/x${query}`, EVENTS, ...fields));

async function tokenProblemOf(gateway: TestGateway, requestId: string | undefined): Promise<unknown> {
  const line = await eventually('the access line', () =>
    gateway.logLines().find((one) => one.requestId === requestId && one.method !== undefined),
  );
  return line.tokenProblem;
}

describe.each(TRANSPORTS)('SignalR in a browser, by %s', (transport) => {
  it('negotiates, connects and talks, and the hub sees who it is and no token', async () => {
    await using hub = await startHub();
    await using gateway = await start(hub);
    using connection = await connectSignalR(`${gateway.external}${HUB}`, ann, transport);
    const message = '{"type":1,"target":"Send","arguments":["hello"]}';
    await eventually('the handshake', () => connection.received.length === 1);
    await connection.send(message);
    await eventually('the echo', () => connection.received.length === 2);
    expect(connection.received).toEqual(['{}', message]);
    const [negotiate, connect] = hub.requests;
    expect(negotiate?.target).toBe('/hubs/chat/negotiate?negotiateVersion=1');
    expect(connect?.target).toBe('/hubs/chat?id=connection-1');
    expect(hub.requests.every(({ headers }) => headers['x-auth-subject'] === 'ann')).toBe(true);
    expect(secretsIn(JSON.stringify(hub.requests))).toEqual([]);
  });

  it('is refused with a token that is not good', async () => {
    await using hub = await startHub();
    await using gateway = await start(hub);
    const url = `${HUB}?id=connection-1&access_token=${keepSecret('no.good.token')}`;
    const fields = transport === 'webSockets' ? WEB_SOCKET : [EVENTS];
    await expectProblem(await sendRaw(gateway.external, request(`GET ${url}`, ...fields)), 'token_invalid');
    expect(hub.requests).toEqual([]);
  });
});

describe('a token in the query', () => {
  it.each([
    ['a GET', 'GET /communication/x', []],
    ['a GET that accepts anything', 'GET /communication/x', ['Accept: */*']],
    ['a navigation', 'GET /communication/x', ['Accept: text/html,*/*;q=0.8']],
    ['a POST', 'POST /communication/x', [EVENTS, 'Content-Length: 0']],
    ['a HEAD', 'HEAD /communication/x', [EVENTS]],
    ['a handshake with content', 'GET /communication/x', [...WEB_SOCKET, 'Content-Length: 1']],
    ['another service', 'GET /budgeting/x', [EVENTS]],
    ['another service, by WebSocket', 'GET /budgeting/x', WEB_SOCKET],
  ])('opens nothing else: %s', async (_what, line, fields) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const answer = await sendRaw(gateway.external, request(`${line}?access_token=${ann}`, ...fields, 'X: 1'));
    expect(answer.status).toBe(401);
    if (!line.startsWith('HEAD')) await expectProblem(answer, 'token_missing');
    expect(await tokenProblemOf(gateway, answer.field('X-Request-Id'))).toMatch(/^no Authorization field/);
    expect(service.requests).toEqual([]);
  });

  it.each([
    ['/communication/hubs', '/communication/hubs?', 200],
    ['/communication/hubs', '/communication/hubs/chat?', 200],
    ['/communication/hubs', '/communication/hubsx?', 401],
    ['/communication/hubs', '/communication/Hubs/chat?', 401],
    ['/communication/hubs', '/communication/x?', 401],
    ['/budgeting,/communication/hubs', '/budgeting/x?', 200],
    ['none', '/communication/hubs?', 401],
  ])('with AUTH_QUERY_TOKEN_PATHS=%s: %s is %i', async (paths, path, status) => {
    await using service = await startUpstream(says());
    await using gateway = await start(service, { AUTH_QUERY_TOKEN_PATHS: paths });
    const answer = await sendRaw(gateway.external, request(`GET ${path}access_token=${ann}`, EVENTS));
    expect(answer.status).toBe(status);
    expect(service.requests.map(({ target }) => target)).toEqual(
      status === 200 ? [path.slice(path.indexOf('/', 1), -1)] : [],
    );
  });

  it.each([
    ['alone', `?access_token=${ann}`, '/x'],
    ['last', `?id=1&access_token=${ann}`, '/x?id=1'],
    ['first', `?access_token=${ann}&id=%31&id=2`, '/x?id=%31&id=2'],
    ['percent-encoded', `?a=b&access%5Ftoken=${ann.replaceAll('.', '%2e')}&c`, '/x?a=b&c'],
    ['in capitals', `?ACCESS_TOKEN=${ann}`, '/x'],
    ['behind a semicolon', `?a=b;access_token=${ann};c`, '/x?a=b;c'],
  ])('that stands there %s is read, and the service gets the rest', async (_how, query, target) => {
    await using service = await startUpstream(says());
    await using gateway = await start(service);
    const answer = await events(gateway, query);
    expect([answer.status, answer.body]).toEqual([200, 'hello ann']);
    expect(service.requests.map((one) => one.target)).toEqual([target]);
  });

  it.each([
    ['twice', `?access_token=${ann}&access_token=${ann}`, 'token_invalid', 'more than one access_token'],
    ['twice, in two spellings', `?access_token=${ann}&Access%5ftoken=x`, 'token_invalid', 'more than one'],
    ['without a value', '?access_token=', 'token_missing', 'the access_token in the query is empty'],
    ['without a sign of one', '?access_token', 'token_missing', 'the access_token in the query is empty'],
    ['half encoded', `?access_token=${ann}%2`, 'token_invalid', 'not a JWT'],
    ['with a plus', `?access_token=Bearer+${ann}`, 'token_invalid', 'not a JWT'],
    ['encoded twice', `?access%255Ftoken=${ann}`, 'token_missing', 'no Authorization field'],
  ] as const)('that stands there %s is refused', async (_how, query, code, problem) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const answer = await events(gateway, query);
    await expectProblem(answer, code);
    expect(await tokenProblemOf(gateway, answer.field('X-Request-Id'))).toContain(problem);
    expect(service.requests).toEqual([]);
  });

  it('that makes the target too long is a 414', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    await expectProblem(await events(gateway, `?access_token=${ann}${'x'.repeat(8_192)}`), 'uri_too_long');
  });

  it.each([
    ['good', bearer(tokenFor('bob')).Authorization, 200],
    ['bad', 'Bearer not.a.token', 401],
    ['of another scheme', 'Basic YTpi', 401],
    ['empty', '', 401],
  ])('counts for nothing beside an Authorization field, which is %s', async (_what, field, status) => {
    await using service = await startUpstream(says());
    await using gateway = await start(service);
    for (const fields of [[EVENTS], []]) {
      const answer = await sendRaw(
        gateway.external,
        request(`GET /communication/x?a&access_token=${ann}`, ...fields, `Authorization: ${field}`),
      );
      expect(answer.status).toBe(status);
      if (status === 200) expect(answer.body).toBe('hello bob');
    }
    for (const { target } of service.requests) expect(target).toBe('/x?a');
  });

  it('is removed from every request on its path, whatever it asks for', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const query = `?b=1&access_token=${ann}&access_token`;
    const lines = ['GET /communication', 'POST /communication/x', 'DELETE /communication/y/'];
    for (const line of lines) {
      const fields = ['Content-Length: 0', `Authorization: Bearer ${ann}`];
      expect((await sendRaw(gateway.external, request(line + query, ...fields))).status).toBe(200);
    }
    expect(service.requests.map(({ target }) => target)).toEqual(['/?b=1', '/x?b=1', '/y/?b=1']);
  });

  it('is removed where the path goes on whole, too', async () => {
    await using service = await startUpstream(says());
    const services = { '/communication': { upstreams: [service], stripPrefix: false } };
    await using gateway = await startGateway({ services });
    for (const path of ['/communication', '/communication/x']) {
      const line = `GET ${path}?b=1&access_token=${ann}`;
      for (const fields of [[EVENTS], WEB_SOCKET]) {
        expect((await sendRaw(gateway.external, request(line, ...fields))).body).toBe('hello ann');
      }
    }
    const targets = service.requests.map(({ target }) => target);
    expect(new Set(targets)).toEqual(new Set(['/communication?b=1', '/communication/x?b=1']));
  });

  it('is forwarded as it is elsewhere, and on the internal port', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const query = '?access_token=anything';
    await fetch(`${gateway.external}/budgeting/x${query}`, { headers: bearer(ann) });
    await fetch(`${gateway.internal}/internal/communication/x${query}`);
    expect(service.requests.map(({ target }) => target)).toEqual([`/x${query}`, `/x${query}`]);
  });
});

describe('a response to a request with a token in its query', () => {
  const secret = `?access_token=${ann}`;

  it.each<{ said: string; fields: Record<string, string>; verdicts: string[] }>([
    { said: 'nothing', fields: {}, verdicts: ['MISS', 'HIT'] },
    {
      said: 'public',
      fields: {
        'Cache-Control': 'public, max-age=60',
        'CDN-Cache-Control': 'max-age=600',
        'cloudflare-cdn-cache-control': 'max-age=600',
        'Edge-Control': 'max-age=600',
        'Surrogate-Control': 'max-age=600',
        'X-Accel-Expires': '600',
      },
      verdicts: ['MISS', 'HIT'],
    },
    { said: 'no-cache', fields: { 'Cache-Control': 'no-cache' }, verdicts: ['MISS'] },
  ])('is private and not to be stored, where the service says $said', async ({ fields, verdicts }) => {
    await using service = await startUpstream(says(fields));
    await using gateway = await start(service);
    for (const verdict of verdicts) {
      const answer = await eventually(`a ${verdict}`, async () => {
        const one = await events(gateway, secret);
        return one.field('X-Cache') === verdict && one;
      });
      expect(answer.fields.filter(([name]) => /-control|expires/i.test(name))).toEqual([
        ['Cache-Control', 'private, no-store'],
      ]);
    }
    const authorization = `Authorization: Bearer ${ann}`;
    const plain = await sendRaw(gateway.external, request('GET /communication/y', authorization));
    expect(plain.field('Cache-Control')).toBe(fields['Cache-Control']);
  });

  it('is so when a service does not agree to upgrade, too', async () => {
    await using service = await startUpstream(says({ 'Cache-Control': 'max-age=60' }));
    await using gateway = await start(service);
    const line = `GET /communication/x${secret}`;
    const answer = await sendRaw(gateway.external, request(line, ...WEB_SOCKET));
    expect([answer.status, answer.field('Cache-Control')]).toEqual([200, 'private, no-store']);
  });

  it('that is an error says no-store', async () => {
    await using service = await startUpstream((_req, res) => void res.writeHead(500).end());
    await using gateway = await start(service);
    for (let n = 0; n < 3; n += 1) {
      const answer = await events(gateway, secret);
      expect([answer.status, answer.field('Cache-Control')]).toEqual([500, 'no-store']);
    }
    await expectProblem(await events(gateway, secret), 'circuit_open', { retryAfter: 30 });
  });
});

describe.each(STORES)('with the %s store', (store) => {
  it('no key of the cache has the token: another one of the same person gets the same response', async () => {
    await emptyTestRedis();
    await using service = await startUpstream(says({ 'Cache-Control': 'max-age=60' }));
    await using gateway = await start(service, {}, { store });
    await eventually('it is stored', async () => {
      const answer = await events(gateway, `?a=1&access_token=${tokenFor('ann')}`);
      return answer.field('X-Cache') === 'HIT';
    });
    const byField = await sendRaw(
      gateway.external,
      request('GET /communication/x?a=1', EVENTS, `Authorization: Bearer ${tokenFor('ann')}`),
    );
    expect(byField.field('X-Cache')).toBe('HIT');
    expect((await events(gateway, `?a=1&access_token=${tokenFor('bob')}`)).body).toBe('hello bob');
    if (store === 'embedded') return;
    await using probe = await probeTokens(gateway);
    const keys = (await probe.keys()).filter((key) => key.startsWith('cache:'));
    expect(keys.filter((key) => key.endsWith('"?a=1"]'))).toHaveLength(2);
    expect(secretsIn(keys.join())).toEqual([]);
  });

  const revoke = (gateway: TestGateway, order: object) =>
    fetch(`${gateway.internal}/admin/revocations`, {
      method: 'POST',
      headers: bearer(ADMIN_TOKEN),
      body: JSON.stringify(order),
    });
  const ends: [string, (gateway: TestGateway, token: string, subject: string) => Promise<Response>][] = [
    [
      'a logout',
      (gateway, token) =>
        fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(token) }),
    ],
    ['a revocation of the token', (gateway, token) => revoke(gateway, { token })],
    ['a revocation by subject', (gateway, _token, subject) => revoke(gateway, { subject })],
  ];

  it.each(ends)('%s ends its WebSockets and event streams, and lets no new ones in', async (_how, end) => {
    await emptyTestRedis();
    await using hub = await startHub((_req, res) => void res.end('ok'));
    await using gateway = await start(hub, {}, { store });
    const subject = `carl-${store}`;
    const token = tokenFor(subject, { iat: Math.floor(Date.now() / 1000) - 10 });
    const url = `${gateway.external}${HUB}`;
    using socket = await connectSignalR(url, token, 'webSockets');
    using stream = await connectSignalR(url, token, 'serverSentEvents');
    using other = await connectSignalR(url, ann, 'webSockets');
    await eventually('the handshakes', () => socket.received.length + stream.received.length === 2);
    expect((await end(gateway, token, subject)).ok).toBe(true);
    await eventually('both are cut', () => socket.ended && stream.ended);
    expect(other.ended).toBe(false);
    for (const fields of [WEB_SOCKET, [EVENTS]]) {
      const line = `GET ${HUB}?id=connection-2&access_token=${token}`;
      await expectProblem(await sendRaw(gateway.external, request(line, ...fields)), 'token_revoked');
    }
  });
});

it('with two workers a logout at one of them ends the WebSockets of both, and no process prints the token', async () => {
  await using hub = await startHub((_req, res) => void res.end('ok'));
  await using run = runGateway({
    services: { '/communication': [hub], '/userManagement': [hub] },
    env: { WORKERS: '2', LOG_LEVEL: 'debug' },
  });
  const { external } = await run.listening();
  const token = tokenFor('emma');
  const sockets: SignalR[] = [];
  // So many that both workers have some, and one after the other: they count for the limits of the service.
  for (let n = 0; n < 8; n += 1) {
    sockets.push(await connectSignalR(`${external}${HUB}`, token, 'webSockets'));
  }
  expect(hub.requests.map(({ target }) => target).filter((target) => /access_token/i.test(target))).toEqual(
    [],
  );
  const logout = `${external}/userManagement/auth/logout`;
  expect((await fetch(logout, { method: 'POST', headers: bearer(token) })).status).toBe(200);
  await eventually('all are cut', () => sockets.every(({ ended }) => ended));
  for (let n = 0; n < 8; n += 1) {
    const line = `GET ${HUB}?id=connection-1&access_token=${token}`;
    await expectProblem(await sendRaw(external, request(line, ...WEB_SOCKET)), 'token_revoked');
  }
  await run.kill('SIGTERM');
  expect(secretsIn(run.stdout() + run.stderr())).toEqual([]);
});

it('a WebSocket whose token is revoked before the service agrees to it is cut at once', async () => {
  const agree = deferred();
  await using hub = await startRawUpstream(async (socket) => {
    await agree.promise;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  await using users = await startUpstream();
  const services = { '/communication': [hub], '/userManagement': [users] };
  // Time stands still: nothing looks at open connections every half a second.
  await using gateway = await startGateway({ services, clock: new ManualClock(Date.now()) });
  const token = tokenFor('dora');
  using client = await RawClient.to(gateway.external);
  client.send(request(`GET ${HUB}?id=1&access_token=${token}`, ...WEB_SOCKET));
  await eventually('the handshake is under way', () => hub.requests.length === 1);
  const logout = `${gateway.external}/userManagement/auth/logout`;
  expect((await fetch(logout, { method: 'POST', headers: bearer(token) })).status).toBe(200);
  agree.resolve();
  await client.closed();
  expect(client.received).toMatch(/^HTTP\/1.1 101 /);
});

describe('nobody but the gateway', () => {
  it('learns a token from traces, metrics, the log at debug or /admin, whatever becomes of the request', async () => {
    await using collector = await startUpstream((_req, res) => void res.end('{}'));
    await using service = await startUpstream((_req, res) => void res.writeHead(500).end());
    const gateway = await start(service, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin });
    const lines = [`GET /communication/x?access_token=${ann}`, `GET /communication?x&access%5Ftoken=${ann}`];
    for (const line of lines) {
      for (let n = 0; n < 4; n += 1) await sendRaw(gateway.external, request(line, EVENTS));
      await sendRaw(gateway.external, request(line, ...WEB_SOCKET));
      await sendRaw(gateway.external, request(line));
      using client = await RawClient.to(gateway.external);
      client.send(request(line, EVENTS));
      client.reset();
    }
    const accept = { Accept: 'application/openmetrics-text' };
    const shown = await Promise.all([
      call(`${gateway.internal}/metrics`, { headers: accept }),
      call(`${gateway.internal}/admin/revocations`, { headers: bearer(ADMIN_TOKEN) }),
      call(`${gateway.internal}/readyz`),
    ]);
    await gateway.stop();
    const spans = collector.requests.map(({ body }) => String(body)).join();
    expect(spans).toContain('"/communication/x"');
    expect(secretsIn(spans + shown.map(({ body }) => String(body)).join())).toEqual([]);
    expect(JSON.stringify(gateway.logLines())).not.toMatch(/access(_|%5F)token=/i);
  });

  it.each([
    ['behind & alone', `/communication/x&access_token=${ann}`, '/communication/x&access_token=eyJ...'],
    ['behind ; alone', `/communication/x;access_token=${ann}?a`, '/communication/x;access_token=eyJ...'],
    ['behind %3F', `/communication/x%3Faccess_token%3D${ann}`, '/communication/x%3Faccess_token%3DeyJ...'],
    ['with %2E', `/communication/${ann.replaceAll('.', '%2E')}/x`, '/communication/eyJ.../x'],
    ['in the fragment', `/communication/x#access_token=${ann}`, '/communication/x'],
    ['for another host', `http://other.test/communication?a=b@c&access_token=${ann}`, '/'],
    [
      'in the fragment, for another host',
      `http://other.test/x#access_token=${ann}`,
      '/http%3A%2F%2Fother.test%2Fx',
    ],
  ])('learns one that a client has put elsewhere into the target: %s', async (_where, target, shown) => {
    await using collector = await startUpstream((_req, res) => void res.end('{}'));
    await using service = await startUpstream();
    const gateway = await start(service, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin });
    for (const fields of [[EVENTS], [`Authorization: Bearer ${ann}`], WEB_SOCKET]) {
      await sendRaw(gateway.external, request(`GET ${target}`, ...fields));
    }
    // Fails when a token is in the log, or in a metric.
    await gateway.stop();
    const lines = gateway.logLines().filter(({ message }) => String(message).startsWith(`GET ${shown} `));
    expect(lines).toHaveLength(3);
    const spans = collector.requests.map(({ body }) => String(body)).join();
    expect(spans).toContain(`"${shown}"`);
    expect(secretsIn(spans)).toEqual([]);
  });

  it('learns one from what libraries print when DEBUG asks them to', async () => {
    await using hub = await startHub();
    await using run = runGateway({
      services: { '/communication': [hub] },
      env: { DEBUG: '*', LOG_LEVEL: 'debug' },
    });
    const { external } = await run.listening();
    for (const transport of TRANSPORTS) {
      using connection = await connectSignalR(`${external}${HUB}`, ann, transport);
      await eventually('the handshake', () => connection.received.length === 1);
    }
    await run.kill('SIGTERM');
    expect(run.stdout()).toContain('GET /communication/hubs/chat ');
    expect(secretsIn(run.stdout() + run.stderr())).toEqual([]);
  });
});
