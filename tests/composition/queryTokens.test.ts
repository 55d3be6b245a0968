import type { RequestListener, ServerResponse } from 'node:http';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, STORES, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { expectNothingHeld } from '../support/gateway/nothingHeld.ts';
import { expectProblem } from '../support/gateway/problem.ts';
import { ManualClock } from '../support/manualClock.ts';
import { emptyTestRedis } from '../support/stores/storeProbe.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

/** REQUEST_TIMEOUT x 3.5. */
const WINDOW_MS = 10_500;
const COOLDOWN_MS = 30_000;

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly service: Upstream;
  readonly clock: ManualClock;
  answer: RequestListener;
  /** Event streams that are open at the service. */
  readonly streams: readonly ServerResponse[];
  /** Asks for an event stream with this token in the query. */
  open(token: string): Promise<RawClient>;
}

async function startWorld(store: (typeof STORES)[number], env: Record<string, string> = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const streams: ServerResponse[] = [];
  const stream: RequestListener = (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: begun\n\n');
    streams.push(res);
    res.once('close', () => void streams.splice(streams.indexOf(res), 1));
  };
  const service = stack.use(await startUpstream((req, res) => world.answer(req, res)));
  const services = { '/communication': [service], '/userManagement': [service] };
  const gateway = stack.use(await startGateway({ services, env, store, clock }));
  const world: World = {
    gateway,
    service,
    clock,
    answer: stream,
    streams,
    async open(token) {
      const client = stack.use(await RawClient.to(gateway.external));
      client.send(request(`GET /communication/events?access_token=${token}`, 'Accept: text/event-stream'));
      return client;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  return world;
}

const opened = (client: RawClient) => eventually('it flows', () => client.received.includes('begun'));
const logout = ({ gateway }: World, token: string) =>
  fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(token) });

describe.each(STORES)('a token in the query, with the %s store,', (store) => {
  beforeEach(emptyTestRedis);

  it('counts for its own user: streams, shares and rates', async () => {
    const [ann, bob] = [tokenFor('ann'), tokenFor('bob')];
    const env = { SERVICE_STREAMS: '5', RATE_LIMIT_PER_IDENTITY: '6/1m' };
    await using world = await startWorld(store, env);
    for (let n = 0; n < 4; n += 1) await opened(await world.open(ann));
    await expectProblem(await (await world.open(ann)).answer(), 'fair_share_used');
    await opened(await world.open(bob));
    // Another token is no other user, and what was refused was a request, too.
    await expectProblem(await (await world.open(tokenFor('ann'))).answer(), 'fair_share_used');
    const limited = await (await world.open(ann)).answer();
    expect([limited.status, limited.field('RateLimit')]).toEqual([429, expect.stringContaining('r=0')]);
    expect(world.streams).toHaveLength(5);
    expect(await world.gateway.metric('gateway_concurrent_requests')).toBe(0);
  });

  it('is judged before a breaker, whose trial it may be, and behind the limits', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store, { PER_SERVICE_LIMIT: '1' });
    const { answer } = world;
    world.answer = (_req, res) => void res.writeHead(500).end();
    for (let n = 0; n < 3; n += 1) expect((await (await world.open(token)).answer()).status).toBe(500);
    await expectProblem(await (await world.open(token)).answer(), 'circuit_open', { retryAfter: 30 });
    await expectProblem(await (await world.open('no.good.token')).answer(), 'token_invalid');
    world.clock.advance(COOLDOWN_MS);
    world.answer = answer;
    const trial = await world.open(token);
    await opened(trial);
    const state = () => world.gateway.metric('gateway_circuit_breaker_state', { service: '/communication' });
    await eventually('it is closed', async () => (await state()) === 0);
    // A stream holds no permit; a request that hangs does, and then nobody's token is looked at.
    world.answer = () => {};
    const hanging = await world.open(token);
    await eventually('it is there', () => world.service.requests.length === 5);
    await expectProblem(await (await world.open('no.good.token')).answer(), 'service_busy');
    hanging.reset();
    trial.reset();
    await expectNothingHeld(world.gateway);
  });

  it('that was revoked reaches no service, whatever the breaker, and frees what it held', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store, { SERVICE_STREAMS: '1', FAIR_SHARE: '1' });
    const first = await world.open(token);
    await opened(first);
    expect((await (await world.open(tokenFor('bob'))).answer()).status).toBe(429);
    const { answer } = world;
    world.answer = (_req, res) => void res.end('logged out');
    expect((await logout(world, token)).status).toBe(200);
    world.answer = answer;
    const asked = world.service.requests.length;
    await expectProblem(await (await world.open(token)).answer(), 'token_revoked');
    // What had begun goes on, as that of any token.
    world.streams[0]?.write('data: still there\n\n');
    await eventually('it flows on', () => first.received.includes('still there'));
    first.reset();
    await eventually('its place is free', async () => (await world.gateway.metric('gateway_streams')) === 0);
    world.clock.advance(WINDOW_MS);
    world.answer = (_req, res) => void res.writeHead(500).end();
    for (let n = 0; n < 3; n += 1) await fetch(`${world.gateway.internal}/internal/communication/x`);
    await expectProblem(await (await world.open(token)).answer(), 'token_revoked');
    expect(world.service.requests.length).toBe(asked + 3);
    const { target } = world.service.requests[0] ?? {};
    expect(target).toBe('/events');
  });

  it('opens a WebSocket: a refused one is no failure, and an open breaker lets none through', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    world.answer = (_req, res) => void res.writeHead(500).end();
    const handshake = request(
      `GET /communication/ws?access_token=${token}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    for (let n = 0; n < 4; n += 1)
      expect((await sendRaw(world.gateway.external, handshake)).status).toBe(500);
    expect(await world.gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    for (let n = 0; n < 3; n += 1) await (await world.open(token)).answer();
    await expectProblem(await sendRaw(world.gateway.external, handshake), 'circuit_open', { retryAfter: 30 });
    await eventually('no place is taken', () => world.gateway.gateway.parts.limits.upgrades.held === 0);
    expect(world.service.requests.filter(({ target }) => target.includes('?'))).toEqual([]);
  });
});
