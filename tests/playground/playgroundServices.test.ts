import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request, type Server } from 'node:http';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import WebSocket from 'ws';
import { SERVICE_NAMES, type ServiceName } from '../../playground/catalogue.ts';
import { listenOnLoopback } from '../../playground/replica/lifecycle.ts';
import { replicaIdOf, serverFor } from '../../playground/replica/service.ts';

const JWT_SECRET = 'the secret of this test';
const MEBIBYTE = 2 ** 20;

const stopping = new AbortController();
const servers: Server[] = [];
const ports = new Map<ServiceName, number>();

// All in this process, which is quicker by far than one for each; those are for playground.test.ts.
beforeAll(async () => {
  for (const service of SERVICE_NAMES) {
    const replica = { service, id: replicaIdOf(service, 1) };
    const server = await serverFor(replica, { JWT_SECRET }, stopping.signal);
    ports.set(service, await listenOnLoopback(server, 0));
    servers.push(server);
  }
});

afterAll(() => {
  stopping.abort();
  for (const server of servers) server.close().closeAllConnections();
});

function urlOf(service: ServiceName, path: string): string {
  return `http://127.0.0.1:${ports.get(service)}${path}`;
}

function get(service: ServiceName, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(urlOf(service, path), { headers });
}

/** What these tests look at in answers, where it is there. */
interface Answered {
  readonly user: { readonly uuid: string };
  readonly id: string;
  readonly access_token: string;
  readonly error: string;
  readonly messages: readonly unknown[];
  readonly items: readonly unknown[];
}

async function getJson(service: ServiceName, path: string, headers: Record<string, string> = {}) {
  const answer = await get(service, path, headers);
  return (await answer.json()) as Answered;
}

/** Sends JSON and resolves with the status and the JSON that came back. */
async function send(service: ServiceName, method: string, path: string, body?: unknown) {
  const headers = { 'Content-Type': 'application/json' };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await fetch(urlOf(service, path), init);
  return { status: answer.status, body: (await answer.json()) as Answered };
}

describe.each(SERVICE_NAMES)('%s', (service) => {
  it('is healthy, and every response names its replica', async () => {
    const answer = await get(service, '/health');
    const replica = answer.headers.get('X-Replica');
    expect(replica).toMatch(/^padstack_[a-z-]+-service\.1\.[a-z0-9]{25}$/);
    expect(await answer.json()).toEqual({
      ...{ status: 'healthy', message: 'Service is healthy', requestsCount: 0, service, replica },
    });
    const missing = await get(service, '/nothing/here');
    expect(missing.status).toBe(404);
    expect(missing.headers.get('X-Replica')).toBe(replica);
    expect(await missing.json()).toEqual({ error: `${service} has no GET /nothing/here` });
  });
});

describe('diagnostic endpoints', () => {
  it('/echo shows the request as it came, byte for byte', async () => {
    const sent = request(urlOf('budgeting', ''), {
      method: 'PATCH',
      path: '/echo/a//b/%2e%2E/?x=1&x=%20',
      headers: [
        'Host',
        'h',
        'X-Twice',
        'a',
        'x-twice',
        'b',
        'Transfer-Encoding',
        'chunked',
        'Trailer',
        'X-Sum',
      ],
    });
    sent.write('grüße');
    sent.addTrailers({ 'X-Sum': '7' });
    sent.end();
    const [answer] = await once(sent, 'response');
    expect(await json(answer)).toMatchObject({
      method: 'PATCH',
      path: '/echo/a//b/%2e%2E/',
      url: '/echo/a//b/%2e%2E/?x=1&x=%20',
      headers: expect.arrayContaining([
        ['X-Twice', 'a'],
        ['x-twice', 'b'],
      ]),
      body: 'grüße',
      trailers: [['X-Sum', '7']],
    });
  });

  it('/echo takes JSON that is none', async () => {
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch(urlOf('sharing', '/echo'), { method: 'POST', headers, body: '{"broken' });
    expect(await answer.json()).toMatchObject({ method: 'POST', body: '{"broken' });
  });

  it('/slow waits as long as asked', async () => {
    const before = performance.now();
    expect(await getJson('checkin', '/slow?ms=120')).toEqual({ waitedMs: 120 });
    // Timers may fire a millisecond early.
    expect(performance.now() - before).toBeGreaterThanOrEqual(119);
  });

  it('/status answers with the status asked for', async () => {
    expect(await send('booking', 'POST', '/status/503')).toEqual({ status: 503, body: { status: 503 } });
    const empty = await get('booking', '/status/204');
    expect([empty.status, await empty.text()]).toEqual([204, '']);
  });

  it.each([
    ['/status/100', 'the status must be a whole number from 200 to 599'],
    ['/status/abc', 'got "abc"'],
    ['/slow?ms=-1', 'ms must be a whole number from 0'],
    ['/slow?ms=1&ms=2', 'ms must be a whole number from 0'],
    ['/stream?chunks=x', 'chunks must be a whole number from 0'],
    ['/bytes/1.5', 'the length must be a whole number from 0'],
  ])('%s is a 400 that says what is accepted', async (path, error) => {
    const answer = await get('budgeting', path);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: expect.stringContaining(error) });
  });

  it('/stream sends its chunks one at a time', async () => {
    const sent = request(urlOf('budgeting', '/stream?chunks=3&ms=40')).end();
    const [answer] = await once(sent, 'response');
    const chunks: string[] = [];
    for await (const chunk of answer) chunks.push(String(chunk));
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.headers['transfer-encoding']).toBe('chunked');
    expect(chunks).toEqual(['chunk 1 of 3\n', 'chunk 2 of 3\n', 'chunk 3 of 3\n']);
  });

  it('/stream sends events to who accepts them', async () => {
    const answer = await get('budgeting', '/stream?chunks=2&ms=1', { Accept: 'text/event-stream' });
    expect(answer.headers.get('Content-Type')).toMatch(/^text\/event-stream/);
    expect(await answer.text()).toBe('id: 1\ndata: chunk 1 of 2\n\nid: 2\ndata: chunk 2 of 2\n\n');
  });

  it('/bytes sends exactly so many bytes, byte i being i mod 251', async () => {
    const answer = await get('lostFound', '/bytes/70000');
    expect(answer.headers.get('Content-Length')).toBe('70000');
    const body = Buffer.from(await answer.arrayBuffer());
    expect(body.equals(Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251)))).toBe(true);
    expect(await (await get('lostFound', '/bytes/0')).text()).toBe('');
  });

  it('/bytes answers a HEAD with the length alone', async () => {
    const answer = await fetch(urlOf('lostFound', '/bytes/1073741824'), { method: 'HEAD' });
    expect(answer.headers.get('Content-Length')).toBe('1073741824');
  });

  it('/bytes survives a caller who leaves', async () => {
    const leave = new AbortController();
    const answer = await fetch(urlOf('lostFound', '/bytes/1073741824'), { signal: leave.signal });
    leave.abort();
    await expect(answer.text()).rejects.toThrow();
    expect((await get('lostFound', '/health')).status).toBe(200);
  });

  it('/sink counts and hashes what it is sent', async () => {
    const body = Buffer.alloc(5 * MEBIBYTE, 'tea');
    const answer = await fetch(urlOf('sharing', '/sink'), { method: 'PUT', body });
    const sha256 = createHash('sha256').update(body).digest('hex');
    expect(await answer.json()).toEqual({ bytes: body.length, sha256 });
  });

  it('/whoami decodes the identity that the gateway passes on', async () => {
    const claims = { sub: '123', name: 'Žana' };
    const headers = {
      'X-Auth-Subject': '123',
      'X-Auth-Claims': Buffer.from(JSON.stringify(claims)).toString('base64url'),
    };
    expect(await getJson('checkin', '/whoami', headers)).toEqual({ subject: '123', claims });
    expect(await getJson('checkin', '/whoami')).toEqual({ subject: null, claims: null });
    expect((await get('checkin', '/whoami', { 'X-Auth-Claims': '!' })).status).toBe(400);
  });
});

describe('userManagement', () => {
  const readyMade = { username: 'test@example.com', password: 'password' };

  it('logs in the ready-made user with a token that the gateway can verify', async () => {
    const { status, body } = await send('userManagement', 'POST', '/auth/login', readyMade);
    expect(status).toBe(200);
    expect(body).toEqual({ access_token: expect.any(String), token_type: 'bearer', expires_in: 3600 });
    const claims = jwt.verify(body.access_token, JWT_SECRET, { algorithms: ['HS256'] }) as jwt.JwtPayload;
    // What the stack's user management puts in, and nothing else: no sub, no jti.
    expect(claims).toEqual({
      user_id: 123,
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      email: 'test@example.com',
      username: 'test@example.com',
      role: 'student',
      iat: expect.any(Number),
      exp: (claims.iat ?? 0) + 3600,
      type: 'access',
    });
  });

  it("logs in the other user of the original's examples too", async () => {
    const user = { username: 'user@example.com', password: 'password' };
    expect((await send('userManagement', 'POST', '/auth/login', user)).status).toBe(200);
  });

  it('gives the refresh token in a cookie alone, and another pair for it', async () => {
    const post = (path: string, init: RequestInit) =>
      fetch(urlOf('userManagement', path), { method: 'POST', ...init });
    const headers = { 'Content-Type': 'application/json' };
    const login = await post('/auth/login', { headers, body: JSON.stringify(readyMade) });
    const { access_token } = (await login.json()) as Answered;
    const [cookie = ''] = login.headers.getSetCookie();
    expect(cookie).toMatch(/^refresh_token=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax$/);
    const [pair = ''] = cookie.split(';');
    expect(jwt.decode(pair.split('=')[1] ?? '')).toMatchObject({ user_id: 123, type: 'refresh' });
    const refreshed = await post('/auth/refresh', { headers: { Cookie: `theme=dark; ${pair}` } });
    expect(refreshed.status).toBe(200);
    expect(((await refreshed.json()) as Answered).access_token).not.toBe(access_token);
    expect(refreshed.headers.getSetCookie()).toHaveLength(1);
    const bad = ['', 'refresh_token=x', `refresh_token=${access_token}`];
    for (const Cookie of bad) expect((await post('/auth/refresh', { headers: { Cookie } })).status).toBe(401);
  });

  it('does not start without the secret that it signs with', async () => {
    const replica = { service: 'userManagement', id: 'x' } as const;
    await expect(serverFor(replica, {}, stopping.signal)).rejects.toThrow('set JWT_SECRET');
  });

  it('gives every login a token of its own', async () => {
    const logins = [1, 2].map(() => send('userManagement', 'POST', '/auth/login', readyMade));
    const [first, second] = await Promise.all(logins);
    expect(first?.body.access_token).not.toBe(second?.body.access_token);
  });

  it('registers a user, who can then log in', async () => {
    const user = { username: `${randomUUID()}@example.com`, password: 'p' };
    const registered = await send('userManagement', 'POST', '/auth/register', user);
    expect(registered.status).toBe(201);
    const expected = { username: user.username, id: 125 };
    expect(registered.body).toMatchObject({ user: expected, token_type: 'bearer' });
    const { body } = await send('userManagement', 'POST', '/auth/login', user);
    expect((jwt.decode(body.access_token) as jwt.JwtPayload).uuid).toBe(registered.body.user.uuid);
  });

  it('registers a name once, even when it is asked twice at the same time', async () => {
    const user = { username: `${randomUUID()}@example.com`, password: 'p' };
    const both = await Promise.all([1, 2].map(() => send('userManagement', 'POST', '/auth/register', user)));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
  });

  it.each([
    ['a wrong password', { ...readyMade, password: 'wrong' }, 401],
    ['an unknown user', { ...readyMade, username: 'nobody' }, 401],
    ['no password', { username: 'test@example.com' }, 400],
    ['a password that is no text', { ...readyMade, password: 1 }, 400],
    ['nothing', undefined, 400],
  ])('refuses a login with %s', async (_what, body, status) => {
    expect((await send('userManagement', 'POST', '/auth/login', body)).status).toBe(status);
  });

  it('answers broken JSON with a 400', async () => {
    const headers = { 'Content-Type': 'application/json' };
    const init = { method: 'POST', headers, body: '{"username' };
    expect((await fetch(urlOf('userManagement', '/auth/login'), init)).status).toBe(400);
  });

  it('logs out', async () => {
    expect((await send('userManagement', 'POST', '/auth/logout')).status).toBe(200);
  });

  it('keeps profiles, as the documented internal calls use them', async () => {
    const first = await send('userManagement', 'POST', '/users/123/profile');
    expect(first).toEqual({ status: 200, body: { id: '123', username: 'test@example.com' } });
    await send('userManagement', 'POST', '/users/123/profile', { city: 'Chișinău' });
    expect(await getJson('userManagement', '/users/123/profile')).toMatchObject({
      city: 'Chișinău',
    });
    expect((await get('userManagement', '/users/nobody/profile')).status).toBe(404);
  });
});

describe('the other services', () => {
  it('budgeting has transactions that take a while, a balance and budgets', async () => {
    const before = performance.now();
    expect(await getJson('budgeting', '/api/transactions')).toEqual({
      transactions: expect.any(Array),
    });
    expect(performance.now() - before).toBeGreaterThanOrEqual(49);
    expect(await getJson('budgeting', '/api/balance')).toMatchObject({ balance: 1080 });
    expect(await getJson('budgeting', '/users/7/budget')).toMatchObject({ user_id: '7' });
  });

  it('budgeting fails on request, for the circuit breaker', async () => {
    expect((await get('budgeting', '/api/test-circuit-breaker')).status).toBe(500);
  });

  it('communication has messages', async () => {
    const message = { to: '123', text: 'hello' };
    const created = await send('communication', 'POST', '/messages', message);
    expect(created).toMatchObject({ status: 201, body: message });
    const { messages } = await getJson('communication', '/messages/unread');
    expect(messages).toContainEqual(created.body);
    expect((await send('communication', 'POST', '/messages', { to: '123' })).body.error).toMatch(/^text: /);
  });

  it('communication echoes over a WebSocket, text as text and bytes as bytes', async () => {
    const socket = new WebSocket(urlOf('communication', '/ws').replace('http', 'ws'));
    // Both are emitted in one go.
    const [[upgrade]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
    expect(upgrade.headers['x-replica']).toMatch(/^padstack_communication-service\.1\./);
    socket.send('tea?');
    expect(await once(socket, 'message')).toEqual([Buffer.from('tea?'), false]);
    socket.send(Buffer.from([0, 255]));
    expect(await once(socket, 'message')).toEqual([Buffer.from([0, 255]), true]);
    socket.close();
    await once(socket, 'close');
  });

  it('teaManagement takes the documented inventory update', async () => {
    const update = { item_id: 'tea_001', quantity: 50 };
    expect(await send('teaManagement', 'PUT', '/inventory/update', update)).toEqual({
      status: 200,
      body: update,
    });
    const { items } = await getJson('teaManagement', '/inventory');
    expect(items).toContainEqual(update);
    const unknown = await send('teaManagement', 'PUT', '/inventory/update', {
      ...update,
      item_id: 'tea_999',
    });
    expect(unknown.status).toBe(404);
    expect((await send('teaManagement', 'PUT', '/inventory/update', { item_id: 'tea_001' })).status).toBe(
      400,
    );
  });

  it('notification sends, by GET and POST', async () => {
    expect((await get('notification', '/send')).status).toBe(200);
    const { body } = await send('notification', 'POST', '/send', { to: '123' });
    expect(body).toMatchObject({ status: 'sent', notification: { to: '123' } });
  });

  it.each([
    ['booking', 'bookings'],
    ['booking', 'cabs'],
    ['checkin', 'checkins'],
    ['checkin', 'places'],
    ['lostFound', 'lost'],
    ['lostFound', 'found'],
    ['fundRaising', 'campaigns'],
    ['fundRaising', 'donations'],
    ['sharing', 'resources'],
    ['sharing', 'loans'],
  ] as const)('%s keeps %s', async (service, collection) => {
    const path = `/${collection}`;
    const created = await send(service, 'POST', path, { note: 'new' });
    expect(created).toEqual({ status: 201, body: { id: expect.any(String), note: 'new' } });
    const item = `${path}/${created.body.id}`;
    expect(await getJson(service, item)).toEqual(created.body);
    expect(await getJson(service, path)).toEqual({
      [collection]: expect.arrayContaining([created.body]),
    });
    expect((await fetch(urlOf(service, item), { method: 'DELETE' })).status).toBe(204);
    expect((await get(service, item)).status).toBe(404);
  });
});
