import type { RequestListener, ServerResponse } from 'node:http';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../lib/http/fields.ts';
import { RawClient, request } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, STORES, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../support/gateway/nothingHeld.ts';
import { expectProblem } from '../support/gateway/problem.ts';
import { ManualClock } from '../support/manualClock.ts';
import { emptyTestRedis } from '../support/stores/storeProbe.ts';
import { hangs, startRawUpstream, startUpstream } from '../support/upstreams/upstream.ts';

const REQUEST_TIMEOUT_MS = 3_000;
const COOLDOWN_MS = 30_000;
/** REQUEST_TIMEOUT x 3.5. */
const WINDOW_MS = 10_500;

const get = (
  gateway: TestGateway,
  token: string,
  path = '/budgeting/x',
  headers: Record<string, string> = {},
) => fetch(`${gateway.external}${path}`, { headers: { ...bearer(token), ...headers } });
const logout = (gateway: TestGateway, token: string) =>
  fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(token) });
const login = (gateway: TestGateway) =>
  fetch(`${gateway.external}/userManagement/auth/login`, { method: 'POST' });

const ok: RequestListener = (_req, res) => void res.end('ok');
const broken: RequestListener = (_req, res) => void res.writeHead(500).end();

/** A gateway in front of one service, whose behaviour the test changes, under both paths. */
async function startWorld(store: (typeof STORES)[number], env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const service = { answer: ok };
  const clock = new ManualClock();
  const upstream = stack.use(await startUpstream((req, res) => service.answer(req, res)));
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': [upstream], '/userManagement': [upstream] },
      env,
      store,
      clock,
    }),
  );
  return { gateway, upstream, clock, service, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Opens the breaker of the world's replica as that service. */
async function trip(
  { gateway, service, clock }: Awaited<ReturnType<typeof startWorld>>,
  name = 'budgeting',
): Promise<void> {
  const { answer } = service;
  // One caller's failures are not enough while others have been served.
  clock.advance(WINDOW_MS);
  service.answer = broken;
  for (let n = 0; n < 3; n += 1) await fetch(`${gateway.internal}/internal/${name}/x`);
  service.answer = answer;
}

async function cached(gateway: TestGateway, token: string, path?: string): Promise<void> {
  await eventually(
    'it is cached',
    async () => (await get(gateway, token, path)).headers.get('X-Cache') === 'HIT',
  );
}

describe.each(STORES)('with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  it('cache and breaker: a stored response is given while the breaker is open', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    await cached(world.gateway, token);
    await trip(world);
    const hit = await get(world.gateway, token);
    expect(hit.headers.get('X-Cache')).toBe('HIT');
    expect(await hit.text()).toBe('ok');
    await expectProblem(await get(world.gateway, token, '/budgeting/y'), 'circuit_open', { retryAfter: 30 });
  });

  it('cache and balance: a hit is no load, and no trial of a breaker', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store, { GET_CACHE_TTL: '10m' });
    await cached(world.gateway, token);
    await trip(world);
    world.clock.advance(COOLDOWN_MS);
    const load = await world.gateway.metric('gateway_lb_instance_load');
    for (let n = 0; n < 3; n += 1)
      expect((await get(world.gateway, token)).headers.get('X-Cache')).toBe('HIT');
    expect(await world.gateway.metric('gateway_lb_instance_load')).toBe(load);
    expect(await world.gateway.metric('gateway_circuit_breaker_state', { service: '/budgeting' })).toBe(2);
  });

  it('cache and logout: nothing is served from the cache to a revoked token', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    await cached(world.gateway, token);
    expect((await logout(world.gateway, token)).status).toBe(200);
    await expectProblem(await get(world.gateway, token), 'token_revoked');
    // Another token of the same person has the answers still.
    expect((await get(world.gateway, tokenFor('ann'))).headers.get('X-Cache')).toBe('HIT');
  });

  it('cache and expiry: nothing is served from the cache to an expired token', async () => {
    await using world = await startWorld(store, { GET_CACHE_TTL: '10m' });
    const token = tokenFor('ann', { exp: Math.floor(world.clock.now() / 1000) + 60 });
    await cached(world.gateway, token);
    world.clock.advance(65_000);
    await expectProblem(await get(world.gateway, token), 'token_expired');
  });

  it('logout and breaker: the token is revoked though the logout could not be forwarded', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    await trip(world, 'userManagement');
    await expectProblem(await logout(world.gateway, token), 'circuit_open', { retryAfter: 30 });
    await expectProblem(await get(world.gateway, token), 'token_revoked');
  });

  it('logout and deadline: the token is revoked though the service never answered', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    world.service.answer = () => {};
    const answer = logout(world.gateway, token);
    await eventually('the service has it', () => world.upstream.requests.length === 1);
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await expectProblem(await answer, 'request_timeout');
    await expectProblem(await get(world.gateway, token), 'token_revoked');
  });

  it('logout and a full service: a logout takes none of its permits', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store, { PER_SERVICE_LIMIT: '1' });
    world.service.answer = () => {};
    const blocking = get(world.gateway, token, '/userManagement/x').catch(() => {});
    await underWay(world.gateway, 1);
    world.service.answer = ok;
    expect((await logout(world.gateway, token)).status).toBe(200);
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await blocking;
    await expectProblem(await get(world.gateway, token), 'token_revoked');
  });

  it('logout and a client that leaves: the token is revoked all the same', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    world.service.answer = () => {};
    using client = await RawClient.to(world.gateway.external);
    client.send(
      request('POST /userManagement/auth/logout', `Authorization: Bearer ${token}`, 'Content-Length: 0'),
    );
    await eventually('the service has it', () => world.upstream.requests.length === 1);
    client.reset();
    await expectNothingHeld(world.gateway);
    await expectProblem(await get(world.gateway, token), 'token_revoked');
  });

  it('login and revocation: a token that was revoked is not revived by a response that holds it', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    expect((await logout(world.gateway, token)).status).toBe(200);
    world.service.answer = (_req, res) => void res.end(JSON.stringify({ access_token: token }));
    expect((await login(world.gateway)).status).toBe(200);
    await expectProblem(await get(world.gateway, token), 'token_revoked');
  });

  it('login and breaker: a failing login opens the breaker like any request', async () => {
    await using world = await startWorld(store);
    world.service.answer = broken;
    for (let n = 0; n < 3; n += 1) expect((await login(world.gateway)).status).toBe(500);
    await expectProblem(await login(world.gateway), 'circuit_open', { retryAfter: 30 });
  });

  it('login and deadline: a login that never ends its response is cut, and issues nothing', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld(store);
    let answering: ServerResponse | undefined;
    world.service.answer = (_req, res) => {
      answering = res;
      res.write(JSON.stringify({ access_token: token }));
    };
    const answer = login(world.gateway).then(
      (response) => response.text(),
      () => 'cut',
    );
    await eventually('it has begun', () => answering?.headersSent);
    await underWay(world.gateway, 1);
    await eventually('it is over', () => {
      world.clock.advance(10_000);
      return answering?.destroyed;
    });
    await expect(answer.catch(() => 'cut')).resolves.not.toContain(token);
    expect(await world.gateway.metric('gateway_jwt_generated_total')).toBe(0);
    await expectNothingHeld(world.gateway);
  });

  it('auth and a client that leaves: nothing goes to the service', async () => {
    await using world = await startWorld(store);
    const { authenticator } = world.gateway.gateway.parts;
    const authenticate = authenticator.authenticate.bind(authenticator);
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let asked = false;
    authenticator.authenticate = async (token) => {
      asked = true;
      await opened;
      return authenticate(token);
    };
    using client = await RawClient.to(world.gateway.external);
    client.send(request('GET /budgeting/x', `Authorization: Bearer ${tokenFor('ann')}`));
    await eventually('it is being checked', () => asked);
    client.reset();
    await expectNothingHeld(world.gateway);
    open();
    expect((await get(world.gateway, tokenFor('ann'), '/budgeting/y')).status).toBe(200);
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/y']);
  });

  it('auth and deadline: a store that hangs ends in 504, and nothing goes to the service later', async () => {
    await using world = await startWorld(store);
    const { authenticator } = world.gateway.gateway.parts;
    const authenticate = authenticator.authenticate.bind(authenticator);
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let asked = false;
    authenticator.authenticate = async (token) => {
      asked = true;
      await opened;
      return authenticate(token);
    };
    const answer = get(world.gateway, tokenFor('ann'));
    await eventually('it is being checked', () => asked);
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await expectProblem(await answer, 'request_timeout');
    open();
    await expectNothingHeld(world.gateway);
    expect(world.upstream.requests).toHaveLength(0);
  });
});

describe('limits', () => {
  it('come before tokens: a full service says 429, whatever the token', async () => {
    await using world = await startWorld('embedded', { PER_SERVICE_LIMIT: '1' });
    world.service.answer = () => {};
    const first = get(world.gateway, tokenFor('ann')).catch(() => {});
    await underWay(world.gateway, 1);
    await expectProblem(await fetch(`${world.gateway.external}/budgeting/x`), 'service_busy');
    await expectProblem(await get(world.gateway, 'nonsense'), 'service_busy');
    expect(await world.gateway.metric('gateway_jwt_validation_errors_total')).toBe(0);
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await first;
  });

  it('come before the cache too: a stored response needs a permit', async () => {
    const token = tokenFor('ann');
    await using world = await startWorld('embedded', { PER_SERVICE_LIMIT: '1' });
    await cached(world.gateway, token);
    world.service.answer = () => {};
    const first = get(world.gateway, token, '/budgeting/slow').catch(() => {});
    await underWay(world.gateway, 1);
    await expectProblem(await get(world.gateway, token), 'service_busy');
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await first;
  });

  it('and a breaker: refusals of an open breaker hold no permit', async () => {
    await using world = await startWorld('embedded', { PER_SERVICE_LIMIT: '1' });
    await trip(world);
    for (let n = 0; n < 5; n += 1)
      await expectProblem(await get(world.gateway, tokenFor('ann')), 'circuit_open', { retryAfter: 30 });
    await expectNothingHeld(world.gateway);
  });

  it('and deadlines: who waits for a permit waits no longer than REQUEST_TIMEOUT', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [upstream], requestTimeout: '3s' } },
      env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '1' },
      clock,
    });
    const first = get(gateway, tokenFor('ann'));
    await underWay(gateway, 1);
    clock.advance(1_000);
    const second = get(gateway, tokenFor('bob'));
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    await eventually('it waits', () => requests?.waiting === 1);
    clock.advance(2_000);
    await expectProblem(await first, 'request_timeout');
    // The second has the permit now, and a second left of its three.
    await eventually('it is at the service', () => upstream.requests.length === 2);
    expect(fieldValue(upstream.requests[1]?.fields ?? [], 'x-request-timeout-ms')).toBe('1000');
    clock.advance(1_000);
    await expectProblem(await second, 'request_timeout');
    await expectNothingHeld(gateway);
  });

  it('and deadlines: who has waited in vain leaves the queue with 504', async () => {
    const clock = new ManualClock();
    const waiting: ServerResponse[] = [];
    await using upstream = await startUpstream((_req, res) => {
      // The head keeps the deadline away from the first, which holds the permit.
      res.writeHead(200, { 'Content-Type': 'text/plain' }).flushHeaders();
      waiting.push(res);
    });
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '1' },
      clock,
    });
    const first = await get(gateway, tokenFor('ann'));
    const second = get(gateway, tokenFor('bob'));
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    await eventually('it waits', () => requests?.waiting === 1);
    clock.advance(REQUEST_TIMEOUT_MS);
    await expectProblem(await second, 'request_timeout');
    expect(requests?.waiting).toBe(0);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    for (const res of waiting) res.end();
    await first.text();
    await expectNothingHeld(gateway);
  });
});

describe('deadlines', () => {
  it('and breakers: a trial that runs out of time opens the breaker again', async () => {
    await using world = await startWorld('embedded');
    await trip(world);
    world.service.answer = () => {};
    world.clock.advance(COOLDOWN_MS);
    const trial = fetch(`${world.gateway.internal}/internal/budgeting/x`);
    await underWay(world.gateway, 1);
    world.clock.advance(REQUEST_TIMEOUT_MS);
    await expectProblem(await trial, 'request_timeout');
    const again = await fetch(`${world.gateway.internal}/internal/budgeting/x`);
    await expectProblem(again, 'circuit_open', { retryAfter: 30 });
  });

  it('and drain: a request that runs out of time while draining says 504', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { DRAIN_TIMEOUT: '10s' },
      clock,
    });
    const answer = fetch(`${gateway.internal}/internal/budgeting/x`);
    await underWay(gateway, 1);
    const stopped = gateway.gateway.stop();
    clock.advance(REQUEST_TIMEOUT_MS);
    await expectProblem(await answer, 'request_timeout');
    await stopped;
  });
});

describe('an ambiguous request', () => {
  it('and breakers: what a client does wrong opens none', async () => {
    await using world = await startWorld('embedded');
    for (let n = 0; n < 5; n += 1) {
      using client = await RawClient.to(world.gateway.internal);
      client.send('POST /internal/budgeting/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\nx');
      await expectProblem(await client.answer(), 'bad_request');
    }
    expect((await fetch(`${world.gateway.internal}/internal/budgeting/x`)).status).toBe(200);
    expect(await world.gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });
});

describe('what a service says', () => {
  it('and the cache: X-Cache and Cache-Status of a service do not pass for the gateway’s', async () => {
    await using world = await startWorld('embedded');
    world.service.answer = (_req, res) =>
      void res.writeHead(200, { 'X-Cache': 'HIT', 'Cache-Status': 'origin; hit' }).end('ok');
    const miss = await get(world.gateway, tokenFor('ann'));
    expect(miss.headers.get('X-Cache')).toBe('MISS');
    expect(miss.headers.get('Cache-Status')).toBe('origin; hit, gateway; fwd=uri-miss');
  });
});
