import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { instanceOf } from '../../support/upstreams/instance.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const QUICK = {
  path: '/ready',
  interval: '25ms',
  timeout: '2s',
  healthyAfter: 2,
  unhealthyAfter: 2,
} as const;
const PATH = '/budgeting';

/** A replica that says whether it is ready, and in its responses what it is called. */
interface ReadyReplica extends Upstream {
  /** What it answers to the check. */
  status: number;
  answer: RequestListener;
  /** How often it was asked how it is, and how often for anything else. */
  readonly probes: number;
  readonly calls: number;
}

async function startReplica(name: string, port = 0): Promise<ReadyReplica> {
  const says = { status: 200, answer: ((_req, res) => void res.end(name)) as RequestListener };
  const upstream = await startUpstream(
    (req, res) => {
      if (req.url?.endsWith('/ready')) res.writeHead(says.status).end();
      else says.answer(req, res);
    },
    { port },
  );
  const probes = () => upstream.requests.filter(({ target }) => target.endsWith('/ready')).length;
  return Object.defineProperties(Object.assign(says, upstream), {
    probes: { get: probes },
    calls: { get: () => upstream.requests.length - probes() },
  }) as ReadyReplica;
}

const ask = (gateway: Pick<TestGateway, 'internal'>, path = PATH, method = 'GET') =>
  fetch(`${gateway.internal}/internal${path}/x`, { method });

const messages = (gateway: TestGateway) => gateway.logLines().map(({ message }) => String(message));

const healthOf = (gateway: TestGateway, instance: string) =>
  gateway.metric('gateway_replica_health', { service: PATH, instance });

/** Once the outcome of each one's first probe is known. */
const bothAsked = (...replicas: ReadyReplica[]) =>
  eventually('all are asked', () => replicas.every(({ probes }) => probes > 1));

async function startPair() {
  const stack = new AsyncDisposableStack();
  const [one, other] = [stack.use(await startReplica('one')), stack.use(await startReplica('other'))];
  const service = { upstreams: [one, other], health: QUICK, cache: 'off' as const };
  const gateway = stack.use(await startGateway({ services: { [PATH]: service } }));
  const instance = instanceOf(one, [one, other]);
  const isOut = () => eventually('it is out', async () => (await healthOf(gateway, instance)) === 0);
  const isBack = () => eventually('it is back', async () => (await healthOf(gateway, instance)) === 1);
  const dispose = () => stack.disposeAsync();
  return { one, other, gateway, instance, isOut, isBack, [Symbol.asyncDispose]: dispose };
}

describe('a health check', () => {
  it('empties a replica that is not ready, and fills it again', async () => {
    await using world = await startPair();
    const { one, other, gateway, instance } = world;
    await bothAsked(one, other);
    let finish = () => {};
    one.answer = (_req, res) => {
      finish = () => void res.end('late');
    };
    other.answer = (_req, res) => void res.end('other');
    const underWay = await eventually('a request is at the first one', async () => {
      const asked = ask(gateway);
      await Promise.race([asked, eventually('it arrives', () => one.calls > 0)]);
      return one.calls > 0 ? { asked } : undefined;
    });
    one.status = 503;
    await world.isOut();
    const before = one.calls;
    for (let n = 0; n < 20; n += 1) expect(await (await ask(gateway, PATH, 'POST')).text()).toBe('other');
    expect(one.calls).toBe(before);
    finish();
    expect(await (await underWay.asked).text()).toBe('late');

    one.answer = (_req, res) => void res.end('one');
    one.status = 200;
    await world.isBack();
    const texts = await Promise.all(Array.from({ length: 40 }, async () => (await ask(gateway)).text()));
    expect(new Set(texts)).toEqual(new Set(['one', 'other']));

    const labels = { service: PATH, instance };
    expect(await gateway.metric('gateway_replica_health_failures_total', labels)).toBe(1);
    const probes = (result: string) =>
      gateway.metric('gateway_replica_health_probes_total', { service: PATH, result });
    expect(await probes('status')).toBeGreaterThanOrEqual(2);
    expect(await probes('passed')).toBeGreaterThanOrEqual(4);
    // Failed checks are no failures of requests.
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    const about = messages(gateway).filter((message) => message.includes('Replica'));
    expect(about).toEqual([
      `Replica ${one.url.origin} of /budgeting is unhealthy: status 503, 2 in a row`,
      `Replica ${one.url.origin} of /budgeting is healthy again: status 200, 2 in a row`,
    ]);
  });

  it('lets a WebSocket of a replica that is not ready go on', async () => {
    await using chat = await startSocketService();
    await using ready = await startReplica('ready');
    const service = {
      upstreams: [chat],
      health: { ...QUICK, port: Number(ready.url.port) },
    };
    await using gateway = await startGateway({ services: { '/chat': service } });
    const socket = new WebSocket(`${gateway.internal.replace('http', 'ws')}/internal/chat/x`);
    await new Promise((resolve) => socket.once('open', resolve));
    ready.status = 503;
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    await expectProblem(await ask(gateway, '/chat'), 'no_healthy_replica', { retryAfter: 5 });
    const echoed = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))));
    socket.send('still there');
    expect(await echoed).toBe('still there');
    expect(chat.sockets.size).toBe(1);
    socket.terminate();
  });

  it('refuses requests as long as no replica passes, and says so', async () => {
    await using world = await startPair();
    const { one, other, gateway } = world;
    await bothAsked(one, other);
    one.status = 503;
    other.status = 500;
    await eventually('both are out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    await expectProblem(await ask(gateway), 'no_healthy_replica', { retryAfter: 5 });
    expect(one.calls + other.calls).toBe(0);
    expect(messages(gateway)).toContain(
      'No replica of /budgeting passes its health check: requests get 503 until one does',
    );
    other.status = 204;
    await eventually('one is back', async () => (await ask(gateway)).status === 200);
    expect(one.calls).toBe(0);
  });

  it('is that of defaults, unless the service says otherwise', async () => {
    await using checked = await startReplica('checked');
    await using unchecked = await startReplica('unchecked');
    await using own = await startReplica('own');
    await using gateway = await startGateway({
      defaults: { health: QUICK },
      services: {
        '/checked': [checked],
        '/unchecked': { upstreams: [unchecked], health: 'off' },
        '/own': { upstreams: [own], health: { path: '/other/ready', status: 503 } },
      },
    });
    checked.status = 503;
    await eventually('it is out', async () => (await ask(gateway, '/checked')).status === 503);
    await eventually('its own path', () => own.requests.some(({ target }) => target === '/other/ready'));
    expect(unchecked.probes).toBe(0);
    const series = await gateway.gateway.parts.metrics.registry
      .getSingleMetric('gateway_replica_health')
      ?.get();
    expect(series?.values.map(({ labels }) => labels.service)).toEqual(['/checked', '/own']);
  });

  it('asks as the service is asked: below its base path, with its Host and its name', async () => {
    await using one = await startReplica('one');
    const base = `${one.url.origin}/shop`;
    await using gateway = await startGateway({
      services: { [PATH]: { upstreams: [base], health: QUICK, host: 'shop.internal:8080' } },
    });
    await eventually('it is asked', () => one.probes > 0);
    const { method, target, fields } = one.requests[0] ?? {};
    expect([method, target]).toEqual(['GET', '/shop/ready']);
    expect(fields?.slice(0, 2)).toEqual(['Host', 'shop.internal:8080']);
    expect(fields).toContainEqual(expect.stringMatching(/^faf-cab-gateway\/[\d.]+ \(health check\)$/));
    expect(gateway.logLines().filter(({ target: logged }) => logged === '/shop/ready')).toEqual([]);
  });

  it('closes no breaker, and a breaker ends no check', async () => {
    await using world = await startPair();
    const { one, other, gateway, instance } = world;
    await bothAsked(one, other);
    one.answer = (_req, res) => void res.writeHead(500).end();
    const labels = { service: PATH, instance };
    const breaker = () => gateway.metric('gateway_circuit_breaker_state', labels);
    await eventually('its breaker opens', async () => {
      await ask(gateway);
      return (await breaker()) === 1;
    });
    const seen = one.probes;
    await eventually('three more checks', () => one.probes >= seen + 3);
    expect(await breaker()).toBe(1);
    expect(await healthOf(gateway, instance)).toBe(1);
  });

  it('lets an event stream of a replica that is not ready go on', async () => {
    await using one = await startReplica('one');
    let push = (_text: string) => {};
    one.answer = (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      push = (text) => void (text === '' ? res.end() : res.write(text));
    };
    await using gateway = await startGateway({ services: { [PATH]: { upstreams: [one], health: QUICK } } });
    const stream = await ask(gateway);
    one.status = 503;
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    push('data: still there\n\n');
    push('');
    expect(await stream.text()).toBe('data: still there\n\n');
  });

  it('moves sessions from a replica that is not ready', async () => {
    await using stack = new AsyncDisposableStack();
    const [one, other] = [stack.use(await startReplica('one')), stack.use(await startReplica('other'))];
    const gateway = stack.use(
      await startGateway({
        services: {
          [PATH]: { upstreams: [one, other], health: QUICK, balance: { sticky: 'cookie' }, cache: 'off' },
        },
      }),
    );
    const token = tokenFor('ann');
    const asked = (cookie = '') =>
      fetch(`${gateway.external}${PATH}/x`, { headers: { ...bearer(token), Cookie: cookie } });
    await bothAsked(one, other);
    const first = await asked();
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const [home, away] = (await first.text()) === 'one' ? [one, other] : [other, one];
    const calls = home.calls;
    for (let n = 0; n < 5; n += 1) await (await asked(cookie)).text();
    expect(home.calls).toBe(calls + 5);
    home.status = 503;
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 1);
    for (let n = 0; n < 5; n += 1) expect((await asked(cookie)).status).toBe(200);
    expect([home.calls, away.calls]).toEqual([calls + 5, 5]);
  });

  it('leaves no timer behind', async () => {
    await using one = await startReplica('one');
    const pending: number[] = [];
    for (const health of ['off', QUICK] as const) {
      const clock = new ManualClock();
      const gateway = await startGateway({ services: { [PATH]: { upstreams: [one], health } }, clock });
      if (health !== 'off') {
        clock.advance(25);
        await eventually('it is asked', () => one.probes > 0);
      }
      await gateway.stop();
      pending.push(clock.pending);
    }
    expect(pending[1]).toBe(pending[0]);
  });

  it('sends nothing once the gateway has stopped', async () => {
    await using one = await startReplica('one');
    const gateway = await startGateway({ services: { [PATH]: { upstreams: [one], health: QUICK } } });
    await eventually('it is asked', () => one.probes > 1);
    await gateway.stop();
    await eventually('no connection is left', () => one.open === 0);
    const { probes } = one;
    await sleep(100);
    expect(one.probes).toBe(probes);
  });
});

describe('a health check of listed replicas', () => {
  async function startListed(health: object = QUICK) {
    const stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const [one, other] = [stack.use(await startReplica('one')), stack.use(await startReplica('other'))];
    registry.list('a', one);
    const gateway = stack.use(
      await startGateway({
        services: { [PATH]: { upstreams: [], health, cache: 'off' } },
        env: { SERVICE_DISCOVERY_URL: registry.url, SERVICE_REFRESH_INTERVAL: '20ms' },
      }),
    );
    await eventually('the first is listed', async () => (await ask(gateway)).status === 200);
    const dispose = () => stack.disposeAsync();
    return { registry, one, other, gateway, [Symbol.asyncDispose]: dispose };
  }

  it('keeps out who is listed and not ready, from the first request on', async () => {
    await using world = await startListed();
    const { registry, one, other, gateway } = world;
    await bothAsked(one);
    other.status = 503;
    registry.list('b', other);
    await eventually('it waits', () => messages(gateway).some((message) => message.includes('is new')));
    for (let n = 0; n < 20; n += 1) expect(await (await ask(gateway)).text()).toBe('one');
    expect(other.calls).toBe(0);
    other.status = 200;
    await eventually('it gets requests', async () => (await (await ask(gateway)).text()) === 'other');
  });

  it('ends when a replica leaves, also in the middle of a probe', async () => {
    await using world = await startListed();
    const { registry, one, other, gateway } = world;
    await bothAsked(one);
    registry.list('b', other);
    await bothAsked(other);
    registry.replicas.deregister('b');
    await eventually('one is left', async () => (await seriesOf(gateway)).length === 1);
    await eventually('no connection is left', () => other.open === 0);
    const { probes } = other;
    await eventually('others are still asked', () => one.probes > 0 && one.probes);
    const seen = one.probes;
    await eventually('and asked again', () => one.probes >= seen + 3);
    expect(other.probes).toBe(probes);
  });

  async function seriesOf({ gateway }: TestGateway) {
    const series = await gateway.parts.metrics.registry.getSingleMetric('gateway_replica_health')?.get();
    return series?.values ?? [];
  }

  it('judges a replica of two services for each by itself', async () => {
    await using both = await startReplica('both');
    await using gateway = await startGateway({
      services: {
        '/strict': { upstreams: [both], health: QUICK },
        '/lenient': { upstreams: [both], health: { ...QUICK, status: '200-599' } },
      },
    });
    both.status = 503;
    await eventually('it is out of one', async () => (await ask(gateway, '/strict')).status === 503);
    expect((await ask(gateway, '/lenient')).status).toBe(200);
  });
});

it('a check that nobody has ever passed, and that replicas call wrong, takes nobody out', async () => {
  await using one = await startReplica('one');
  one.status = 404;
  await using gateway = await startGateway({ services: { [PATH]: { upstreams: [one], health: QUICK } } });
  await eventually('it is asked often', () => one.probes > 5);
  expect((await ask(gateway)).status).toBe(200);
  expect(messages(gateway).filter((message) => message.includes('health check'))).toEqual([
    `Replica ${one.url.origin} of /budgeting refuses its health check with status 404, and no replica of the service has ever passed it, so it is not heeded: see health.path`,
  ]);
});

it('of several threads one asks, and all heed what it finds', async () => {
  await using one = await startReplica('one');
  await using other = await startReplica('other');
  const health = { ...QUICK, interval: '200ms' };
  await using run = runGateway({
    services: { [PATH]: { upstreams: [one, other], health, cache: 'off' } },
    env: { WORKERS: '3', LOG_FORMAT: 'json' },
  });
  const gateway = await run.listening();
  await bothAsked(one, other);
  one.status = 503;
  await eventually('it is out', () => run.stdout().includes('is unhealthy: status 503, 2 in a row'));
  const before = one.calls;
  // Each connection may be another thread's.
  const asked = Array.from({ length: 60 }, () =>
    fetch(`${gateway.internal}/internal/budgeting/x`, { headers: { Connection: 'close' } }),
  );
  const texts = await Promise.all((await Promise.all(asked)).map((response) => response.text()));
  expect(new Set(texts)).toEqual(new Set(['other']));
  expect(one.calls).toBe(before);
  expect(run.stdout().match(/is unhealthy/g)).toHaveLength(1);

  const [from, startedAtMs] = [other.probes, performance.now()];
  await eventually('ten more checks', () => other.probes >= from + 10);
  // One thread in ten intervals: nine of the shortest there may be. Three threads would need a third of it.
  expect(performance.now() - startedAtMs).toBeGreaterThan(9 * 180);

  one.status = 200;
  await eventually('it is back', () => run.stdout().includes('is healthy again'));
  await eventually('all threads ask it', async () => {
    const { calls } = one;
    await fetch(`${gateway.internal}/internal/budgeting/x`, { headers: { Connection: 'close' } });
    return one.calls > calls;
  });
  const metrics = await (await fetch(`${gateway.internal}/metrics`)).text();
  expect(metrics).toMatch(/gateway_replica_health\{service="\/budgeting",instance="127\.0\.0\.1"\} 1/);
  expect(metrics).toMatch(/gateway_replica_health_failures_total\{.*instance="127\.0\.0\.1"\} 1/);
});
