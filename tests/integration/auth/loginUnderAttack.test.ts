import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { refusedUrl, sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LOGIN = '/userManagement/auth/login';
const REFRESH = '/userManagement/auth/refresh';
const LOGOUT = '/userManagement/auth/logout';
const CREDENTIALS = JSON.stringify({ username: 'ann', password: 'secret' });

const answer: RequestListener = (req, res) => {
  if (req.url === '/auth/login') sendJson(res, { access_token: tokenFor('ann') });
  else sendJson(res, { status: 'ok' });
};

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly service: Upstream;
  /** Begins a chunked upload that goes on for as long as the test does. */
  dribble(path: string, token?: string): Promise<RawClient>;
  login(): Promise<CallResponse>;
  logout(token: string): Promise<CallResponse>;
  look(token: string): Promise<number>;
}

async function startWorld(env: Record<string, string> = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const service = stack.use(await startUpstream(answer));
  const clock = new ManualClock();
  const gateway = stack.use(await startGateway({ services: { '/userManagement': [service] }, env, clock }));
  const post = (path: string, headers: Record<string, string>, body?: string) =>
    call(`${gateway.external}${path}`, { method: 'POST', headers, body });
  return {
    gateway,
    clock,
    service,
    async dribble(path, token) {
      const client = stack.use(await RawClient.to(gateway.external));
      const authorization = token === undefined ? [] : [`Authorization: Bearer ${token}`];
      client.send(request(`POST ${path}`, 'Transfer-Encoding: chunked', ...authorization));
      client.send('5\r\n{"use\r\n');
      return client;
    },
    login: () => post(LOGIN, { 'Content-Type': 'application/json' }, CREDENTIALS),
    logout: (token) => post(LOGOUT, bearer(token)),
    look: async (token) =>
      (await call(`${gateway.external}/userManagement/me`, { headers: bearer(token) })).status,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const collecting = ({ gateway }: World, count: number) =>
  eventually(`${count} uploads`, () => gateway.gateway.parts.limits.content.held === count);

describe('login', () => {
  it.each([LOGIN, REFRESH])('and logout work for others while slow uploads to %s go on', async (path) => {
    await using world = await startWorld();
    for (let n = 0; n < 30; n += 1) await world.dribble(path);
    await collecting(world, 30);
    expect(await world.gateway.metric('gateway_concurrent_requests')).toBe(0);
    const login = await world.login();
    expect(login.status).toBe(200);
    const token = JSON.parse(login.body.toString()).access_token;
    expect(await world.look(token)).toBe(200);
    expect((await world.logout(token)).status).toBe(200);
    expect(await world.look(token)).toBe(401);
  });

  it('works for others at the same address: what has been on its way for longest makes room', async () => {
    await using world = await startWorld();
    const slow: RawClient[] = [];
    for (let n = 0; n < 300; n += 1) slow.push(await world.dribble(LOGIN));
    await collecting(world, 204);
    const refused = (clients: readonly RawClient[]) =>
      clients.filter(({ received }) => received.startsWith('HTTP/1.1 429')).length;
    await eventually('the first of them are refused', () => refused(slow) === 96);
    expect(refused(slow.slice(0, 96))).toBe(96);
    for (let n = 0; n < 10; n += 1) expect((await world.login()).status).toBe(200);
    slow.at(-1)?.send('d\r\nrname":"ann"}\r\n0\r\n\r\n');
    expect((await slow.at(-1)?.answer())?.status).toBe(200);
  });

  it('is forwarded whole and with its length, however it came', async () => {
    await using world = await startWorld();
    const client = await world.dribble(LOGIN);
    await collecting(world, 1);
    expect(world.service.requests).toHaveLength(0);
    client.send('d\r\nrname":"ann"}\r\n0\r\nX-Trailer: 1\r\n\r\n');
    expect((await client.answer()).status).toBe(200);
    const [seen] = world.service.requests;
    expect(seen?.body.toString()).toBe('{"username":"ann"}');
    expect(seen?.fields).toEqual(expect.arrayContaining(['Content-Length', '18']));
    expect(seen?.fields).not.toContain('Transfer-Encoding');
    expect(seen?.trailers).toEqual([]);
    await collecting(world, 0);
  });

  it('has all of REQUEST_TIMEOUT at the service, once its content is there', async () => {
    await using world = await startWorld();
    const client = await world.dribble(LOGIN);
    await collecting(world, 1);
    world.clock.advance(2_900);
    client.send('0\r\n\r\n');
    await client.answer();
    expect(world.service.requests[0]?.fields).toEqual(
      expect.arrayContaining(['X-Request-Timeout-Ms', '3000']),
    );
  });

  it('must have arrived within REQUEST_TIMEOUT, or is a 408', async () => {
    await using world = await startWorld();
    const client = await world.dribble(LOGIN);
    await collecting(world, 1);
    world.clock.advance(2_999);
    client.send('5\r\nrname\r\n');
    world.clock.advance(1);
    const refused = await client.answer();
    await expectProblem(refused, 'upload_stalled');
    expect(refused.field('connection')).toBe('close');
    await collecting(world, 0);
    expect(world.service.requests).toHaveLength(0);
  });

  it.each([
    { name: 'says that it is larger than 64 KiB', fields: ['Content-Length: 65537'], content: '' },
    {
      name: 'turns out to be',
      fields: ['Transfer-Encoding: chunked'],
      content: `10001\r\n${'x'.repeat(65_537)}\r\n`,
    },
  ])(
    'is a 413 when its content $name, and the connection ends in good order',
    async ({ fields, content }) => {
      await using world = await startWorld();
      using client = await RawClient.to(world.gateway.external);
      client.send(request(`POST ${LOGIN}`, ...fields));
      client.send(content);
      const refused = await client.answer();
      await expectProblem(refused, 'body_too_large');
      await collecting(world, 0);
      client.send(content === '' ? 'x'.repeat(65_537) : '0\r\n\r\n');
      expect(await client.closed()).toBe('ended');
      expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(world.service.requests).toHaveLength(0);
    },
  );

  it('takes 64 KiB', async () => {
    await using world = await startWorld();
    const { status } = await call(`${world.gateway.external}${LOGIN}`, {
      method: 'POST',
      body: Buffer.alloc(64 * 1024, 'x'),
    });
    expect(status).toBe(200);
    expect(world.service.requests[0]?.body).toHaveLength(64 * 1024);
  });

  it('gives back what it took when its client leaves', async () => {
    await using world = await startWorld();
    const clients = await Promise.all([world.dribble(LOGIN), world.dribble(LOGIN)]);
    await collecting(world, 2);
    for (const client of clients) client.reset();
    await collecting(world, 0);
    expect(world.clock.pending).toBeLessThanOrEqual(3);
  });

  it('is told to go on when it asks by Expect', async () => {
    await using world = await startWorld();
    using client = await RawClient.to(world.gateway.external);
    client.send(request(`POST ${LOGIN}`, 'Expect: 100-continue', 'Content-Length: 2'));
    await eventually('100 Continue', () => client.received.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    client.send('{}');
    await eventually('the response', () => client.received.includes('HTTP/1.1 200 OK'));
    expect(world.service.requests[0]?.body.toString()).toBe('{}');
  });

  it('works in HTTP/1.0', async () => {
    await using world = await startWorld();
    using client = await RawClient.to(world.gateway.external);
    client.send(`POST ${LOGIN} HTTP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`);
    expect((await client.answer()).status).toBe(200);
  });

  it('reaches another replica when the first cannot be reached', async () => {
    await using service = await startUpstream(answer);
    await using gateway = await startGateway({
      services: { '/userManagement': { upstreams: [refusedUrl(), service] } },
      random: () => 0,
    });
    for (let n = 0; n < 4; n += 1) {
      const options = { method: 'POST', body: CREDENTIALS };
      expect((await call(`${gateway.external}${LOGIN}`, options)).status).toBe(200);
    }
    expect(service.requests.map(({ body }) => body.toString())).toEqual(Array(4).fill(CREDENTIALS));
  });
});

describe('logout', () => {
  it('revokes before its content has arrived', async () => {
    await using world = await startWorld();
    const token = tokenFor('ann');
    expect(await world.look(token)).toBe(200);
    await world.dribble(LOGOUT, token);
    await collecting(world, 1);
    expect(await world.look(token)).toBe(401);
    expect(world.service.requests).toHaveLength(1);
  });

  it('works for others while slow uploads to it go on', async () => {
    await using world = await startWorld({ LOGOUT_CONCURRENCY: '5' });
    for (let n = 0; n < 12; n += 1) await world.dribble(LOGOUT, tokenFor('greedy'));
    await collecting(world, 12);
    const token = tokenFor('ann');
    expect((await world.logout(token)).status).toBe(200);
    expect(await world.look(token)).toBe(401);
  });

  it('works when the service and the gateway have no permit left', async () => {
    await using service = await startGated();
    await using gateway = await startGateway({
      services: { '/userManagement': [service] },
      env: { PER_SERVICE_LIMIT: '2', GLOBAL_CONCURRENCY: '2', FAIR_SHARE: '1' },
    });
    const asked = [1, 2].map(() =>
      call(`${gateway.external}/userManagement/me`, { method: 'POST', headers: bearer(tokenFor('greedy')) }),
    );
    await eventually('both are at the service', () => service.waiting.length === 2);
    const token = tokenFor('ann');
    const headers = bearer(token);
    const logout = call(`${gateway.external}${LOGOUT}`, { method: 'POST', headers, body: '{}' });
    await eventually('the logout is there, too', () => service.waiting.length === 3);
    while (service.waiting.length > 0) service.answerOne();
    expect((await logout).status).toBe(200);
    await Promise.all(asked);
    expect((await call(`${gateway.external}/userManagement/me`, { headers })).status).toBe(401);
  });

  it('revokes although the service does not respond to those before', async () => {
    await using service = await startGated();
    await using gateway = await startGateway({
      services: { '/userManagement': [service] },
      env: { LOGOUT_CONCURRENCY: '2', FAIR_SHARE: '1' },
    });
    const headersOf = new Map(['a', 'b', 'c'].map((user) => [user, bearer(tokenFor(user))]));
    const logout = (user: string) =>
      call(`${gateway.external}${LOGOUT}`, { method: 'POST', headers: headersOf.get(user) });
    const asked = [logout('a'), logout('b')];
    await eventually('both are at the service', () => service.waiting.length === 2);
    expect((await logout('c')).status).toBe(429);
    while (service.waiting.length > 0) service.answerOne();
    await Promise.all(asked);
    // Its token is revoked all the same.
    const headers = headersOf.get('c');
    expect((await call(`${gateway.external}/userManagement/me`, { headers })).status).toBe(401);
  });
});
