import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, NOBODY, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { instanceOf } from '../../support/upstreams/instance.ts';
import {
  hangs,
  refusedUrl,
  resets,
  says,
  startRawUpstream,
  startUpstream,
} from '../../support/upstreams/upstream.ts';

const COOLDOWN_MS = 30_000;
/** REQUEST_TIMEOUT x 3.5. */
const WINDOW_MS = 10_500;

const ask = (gateway: TestGateway, method = 'GET') =>
  fetch(`${gateway.internal}/internal/budgeting/x`, { method });

async function fail(gateway: TestGateway, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await ask(gateway);
}

const state = (gateway: TestGateway, instance: string) =>
  gateway.metric('gateway_circuit_breaker_state', { service: '/budgeting', instance });
const failures = (gateway: TestGateway) => gateway.metric('gateway_circuit_breaker_failures_total');
const messages = (gateway: TestGateway) => gateway.logLines().map(({ message }) => String(message));

/** A gateway in front of one service that fails for as long as the test wants. */
async function startFailing() {
  const stack = new AsyncDisposableStack();
  const service = { answer: ((_req, res) => void res.writeHead(500).end()) as RequestListener };
  const upstream = stack.use(await startUpstream((req, res) => service.answer(req, res)));
  const clock = new ManualClock();
  const gateway = stack.use(await startGateway({ services: { '/budgeting': [upstream] }, clock }));
  const dispose = () => stack.disposeAsync();
  return { gateway, upstream, clock, service, id: upstream.url.hostname, [Symbol.asyncDispose]: dispose };
}

const recovered: RequestListener = (_req, res) => void res.end('ok');

describe('a circuit breaker', () => {
  it('passes the responses of three failures on, then refuses at once', async () => {
    await using world = await startFailing();
    for (let n = 0; n < 3; n += 1) expect((await ask(world.gateway)).status).toBe(500);
    expect(await state(world.gateway, world.id)).toBe(1);
    for (let n = 0; n < 4; n += 1)
      await expectProblem(await ask(world.gateway), 'circuit_open', { retryAfter: COOLDOWN_MS / 1000 });
    expect(world.upstream.requests).toHaveLength(3);
    expect(await failures(world.gateway)).toBe(3);
    expect(
      await world.gateway.metric('gateway_circuit_breaker_rejected_total', { service: '/budgeting' }),
    ).toBe(4);
  });

  it('says what happens in the words that people grep for', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 4);
    const lines = messages(world.gateway);
    for (const count of [1, 2, 3]) {
      expect(lines).toContain(
        `🔔 Circuit Breaker: Service ${world.upstream.url.origin} failure ${count}/3 (window: 10.50 seconds)`,
      );
    }
    expect(
      lines.filter((line) => line.includes(`CIRCUIT BREAKER TRIPPED for ${world.upstream.url.origin}`)),
    ).toHaveLength(1);
    expect(lines.filter((line) => line.includes('Circuit breaker OPEN'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('Load balancer selected'))).toHaveLength(3);
  });

  it('tells when to come back, rounded up', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 3);
    world.clock.advance(1);
    expect((await ask(world.gateway)).headers.get('Retry-After')).toBe('30');
    world.clock.advance(27_999);
    expect((await ask(world.gateway)).headers.get('Retry-After')).toBe('2');
    world.clock.advance(1_999);
    expect((await ask(world.gateway)).headers.get('Retry-After')).toBe('1');
  });

  it('closes when the trial after the cooldown succeeds', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 3);
    world.service.answer = recovered;
    world.clock.advance(COOLDOWN_MS - 1);
    expect((await ask(world.gateway)).status).toBe(503);
    world.clock.advance(1);
    expect((await ask(world.gateway)).status).toBe(200);
    expect(await state(world.gateway, world.id)).toBe(0);
    // Its failures are forgotten: it takes three new ones.
    world.service.answer = (_req, res) => void res.writeHead(500).end();
    for (let n = 0; n < 3; n += 1) expect((await ask(world.gateway)).status).toBe(500);
    expect((await ask(world.gateway)).status).toBe(503);
  });

  it('opens for another cooldown when the trial fails', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 3);
    world.clock.advance(COOLDOWN_MS);
    expect((await ask(world.gateway)).status).toBe(500);
    await expectProblem(await ask(world.gateway), 'circuit_open', { retryAfter: 30 });
    world.clock.advance(COOLDOWN_MS - 1);
    expect((await ask(world.gateway)).status).toBe(503);
    world.clock.advance(1);
    expect((await ask(world.gateway)).status).toBe(500);
  });

  it('lets one trial through at a time', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 3);
    let finish = () => {};
    world.service.answer = (_req, res) => {
      finish = () => res.end('ok');
    };
    world.clock.advance(COOLDOWN_MS);
    const trial = ask(world.gateway);
    await eventually('the trial', () => world.upstream.requests.length === 4);
    expect(await state(world.gateway, world.id)).toBe(2);
    for (let n = 0; n < 3; n += 1) await expectProblem(await ask(world.gateway), 'circuit_open');
    finish();
    expect((await trial).status).toBe(200);
    expect(world.upstream.requests).toHaveLength(4);
  });

  it('tries again when the client of the trial leaves', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 3);
    world.service.answer = () => {};
    world.clock.advance(COOLDOWN_MS);
    using client = await RawClient.to(world.gateway.internal);
    client.send(request('GET /internal/budgeting/x'));
    await eventually('the trial', () => world.upstream.requests.length === 4);
    client.reset();
    world.service.answer = recovered;
    await eventually('another trial', async () => (await ask(world.gateway)).status === 200);
  });

  it('counts failures within its window only', async () => {
    await using world = await startFailing();
    await fail(world.gateway, 2);
    world.clock.advance(WINDOW_MS);
    for (let n = 0; n < 2; n += 1) expect((await ask(world.gateway)).status).toBe(500);
    expect(await state(world.gateway, world.id)).toBe(0);
    await fail(world.gateway, 1);
    expect(await state(world.gateway, world.id)).toBe(1);
  });

  it('counts failures that are not in a row too', async () => {
    await using world = await startFailing();
    const broken = world.service.answer;
    for (let n = 0; n < 3; n += 1) {
      world.service.answer = recovered;
      expect((await ask(world.gateway)).status).toBe(200);
      world.service.answer = broken;
      await ask(world.gateway);
    }
    expect(await state(world.gateway, world.id)).toBe(1);
  });

  it('drops what comes in late from before it opened', async () => {
    await using world = await startFailing();
    const late: (() => void)[] = [];
    const broken = world.service.answer;
    world.service.answer = (_req, res) => late.push(() => res.writeHead(500).end());
    const calls = [ask(world.gateway), ask(world.gateway)];
    await eventually('they are there', () => late.length === 2);
    world.service.answer = broken;
    await fail(world.gateway, 3);
    world.service.answer = recovered;
    world.clock.advance(1_000);
    for (const answer of late) answer();
    for (const call of calls) expect((await call).status).toBe(500);
    expect(await failures(world.gateway)).toBe(3);
    world.clock.advance(COOLDOWN_MS - 1_000);
    expect((await ask(world.gateway)).status).toBe(200);
  });

  it('is one for both ports', async () => {
    await using world = await startFailing();
    const headers = bearer(tokenFor('ann'));
    for (let n = 0; n < 3; n += 1) await fetch(`${world.gateway.external}/budgeting/x`, { headers });
    await expectProblem(await ask(world.gateway), 'circuit_open', { retryAfter: 30 });
  });
});

describe('what counts as a failure', () => {
  const clock = () => new ManualClock();

  it.each([500, 502, 503, 504, 599])('%d does', async (status) => {
    await using upstream = await startUpstream((_req, res) => void res.writeHead(status).end());
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock: clock() });
    await ask(gateway);
    expect(await failures(gateway)).toBe(1);
  });

  it.each([200, 204, 301, 304, 400, 401, 404, 409, 418, 429, 499, 501])('%d does not', async (status) => {
    await using upstream = await startUpstream((_req, res) => void res.writeHead(status).end());
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock: clock() });
    for (let n = 0; n < 4; n += 1)
      expect((await fetch(`${gateway.internal}/internal/budgeting/x`, { redirect: 'manual' })).status).toBe(
        status,
      );
    expect(await failures(gateway)).toBe(0);
  });

  it.each([
    ['a refused connection', undefined],
    ['a reset', resets],
    ['garbage', says('nonsense\r\n\r\n')],
  ])('%s does', async (_what, behaviour) => {
    await using upstream = await startRawUpstream(behaviour ?? hangs);
    const place = behaviour ? upstream : refusedUrl();
    await using gateway = await startGateway({ services: { '/budgeting': [place] }, clock: clock() });
    for (let n = 0; n < 3; n += 1) expect((await ask(gateway, 'POST')).status).toBe(502);
    expect(await failures(gateway)).toBe(3);
    expect((await ask(gateway, 'POST')).status).toBe(503);
  });

  it('a deadline does', async () => {
    const manual = clock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock: manual });
    const answers = [ask(gateway), ask(gateway), ask(gateway)];
    await underWay(gateway, 3);
    manual.advance(3_000);
    for (const answer of answers) expect((await answer).status).toBe(504);
    expect((await ask(gateway)).status).toBe(503);
  });

  it('a client that leaves does not', async () => {
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock: clock() });
    for (let n = 1; n <= 4; n += 1) {
      using client = await RawClient.to(gateway.internal);
      client.send(request('GET /internal/budgeting/x'));
      await eventually('it is there', () => upstream.requests.length === n);
      client.reset();
      await underWay(gateway, 0);
    }
    expect(await failures(gateway)).toBe(0);
  });
});

describe('the balancer', () => {
  async function startReplicas(count: number) {
    const stack = new AsyncDisposableStack();
    const clock = new ManualClock();
    const replicas = [];
    for (let n = 0; n < count; n += 1) replicas.push(stack.use(await startUpstream()));
    const gateway = stack.use(await startGateway({ services: { '/budgeting': replicas }, clock }));
    return { gateway, replicas, clock, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  const loads = async (gateway: TestGateway, replicas: readonly { url: URL }[]) =>
    Promise.all(
      replicas.map((replica) =>
        gateway.metric('gateway_lb_instance_load', {
          service: '/budgeting',
          instance: instanceOf(replica, replicas),
        }),
      ),
    );

  it('gives ten requests to three replicas as 3, 3 and 4', async () => {
    await using world = await startReplicas(3);
    for (let n = 0; n < 10; n += 1) await ask(world.gateway);
    const found = await loads(world.gateway, world.replicas);
    expect(found.toSorted()).toEqual([3, 3, 4]);
    expect(world.replicas.map(({ requests }) => requests.length)).toEqual(found);
    expect(await world.gateway.metric('gateway_lb_requests_total', { service: '/budgeting' })).toBe(10);
    expect(await world.gateway.metric('gateway_lb_instance_health', { service: '/budgeting' })).toBe(3);
  });

  it('sends a request where the fewest are under way', async () => {
    await using busy = await startRawUpstream(hangs);
    await using free = await startUpstream();
    await using gateway = await startGateway({
      services: { '/budgeting': [busy, free] },
      clock: new ManualClock(),
      random: () => 0.99,
    });
    const stuck = ask(gateway).catch(() => {});
    await underWay(gateway, 1);
    for (let n = 0; n < 5; n += 1) expect((await ask(gateway)).status).toBe(200);
    expect(free.requests).toHaveLength(5);
    await gateway.stop();
    await stuck;
  });

  it('keeps away from a replica whose breaker is open, and comes back after the cooldown', async () => {
    let broken = true;
    const clock = new ManualClock();
    await using bad = await startUpstream((_req, res) => void res.writeHead(broken ? 500 : 200).end());
    await using good = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [bad, good] }, clock });
    for (let n = 0; n < 10; n += 1) await ask(gateway);
    expect(bad.requests).toHaveLength(3);
    expect(await state(gateway, bad.url.hostname)).toBe(1);
    expect(await state(gateway, good.url.host)).toBe(0);
    for (let n = 0; n < 10; n += 1) expect((await ask(gateway)).status).toBe(200);
    broken = false;
    clock.advance(COOLDOWN_MS);
    for (let n = 0; n < 4; n += 1) expect((await ask(gateway)).status).toBe(200);
    expect(await state(gateway, bad.url.hostname)).toBe(0);
  });

  it('has nobody to ask for a service without replicas', async () => {
    await using gateway = await startGateway({
      services: { '/budgeting': [] },
      env: { SERVICE_DISCOVERY_URL: NOBODY },
    });
    await expectProblem(await ask(gateway), 'no_healthy_replica', { retryAfter: 5 });
  });
});
