import { describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import type { ServiceParts } from '../../../gateway/wiring/parts.ts';
import { registryApp } from '../../../playground/registry/app.ts';
import { Replicas } from '../../../playground/registry/replicas.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  redisTestUrl,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const COOLDOWN_MS = 30_000;
/** REQUEST_TIMEOUT x 3.5. */
const WINDOW_MS = 10_500;
const SERVICE = '/budgeting';

const [CLOSED, OPEN, HALF_OPEN] = [0, 1, 2];

/** A replica that fails for as long as the test wants. */
interface Shaky extends Upstream {
  failing: boolean;
}

async function startShaky(): Promise<Shaky> {
  const upstream = await startUpstream((_req, res) => void res.writeHead(shaky.failing ? 500 : 200).end());
  const shaky: Shaky = Object.assign(upstream, { failing: false });
  return shaky;
}

/** As many that two of them may be kept away for their responses. */
const REPLICAS = 5;

/** Gateways on one Redis in front of the same replicas, each with a time of its own. */
async function world(...envs: Record<string, string>[]) {
  const stack = new AsyncDisposableStack();
  const replicas: Shaky[] = [];
  for (let n = 0; n < REPLICAS; n += 1) replicas.push(stack.use(await startShaky()));
  const members = await Promise.all(
    envs.map(async (env) => {
      const clock = new ManualClock();
      const services = { [SERVICE]: replicas };
      return { gateway: stack.use(await startGateway({ services, store: 'redis', clock, env })), clock };
    }),
  );
  const [here, there, third] = members as [Member, Member, Member];
  const [shaky, other] = replicas as [Shaky, Shaky, ...Shaky[]];
  return { here, there, third, shaky, other, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

interface Member {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
}

async function ask({ external, internal }: TestGateway, port: Port = 'internal'): Promise<number> {
  const url = port === 'external' ? `${external}${SERVICE}/x` : `${internal}/internal${SERVICE}/x`;
  const headers = port === 'external' ? bearer(tokenFor('ann')) : {};
  // A POST, so that no stored answer takes the place of a request.
  return (await fetch(url, { method: 'POST', headers })).status;
}

const state = (gateway: TestGateway, replica: Upstream) => {
  const { replicas } = gateway.gateway.parts.services[0] as ServiceParts;
  const instance = replicas.pool.get(replica.url.host)?.id ?? '';
  return gateway.metric('gateway_circuit_breaker_state', { service: SERVICE, instance });
};
const failures = (gateway: TestGateway) => gateway.metric('gateway_circuit_breaker_failures_total');
const messages = (gateway: TestGateway) => gateway.logLines().map(({ message }) => String(message));

/** Asks until the replica's breaker is as wanted. */
async function askUntil(gateway: TestGateway, replica: Upstream, wanted: number, port?: Port): Promise<void> {
  await eventually(`the breaker of ${replica.url.host} is ${wanted}`, async () => {
    if ((await state(gateway, replica)) === wanted) return true;
    await ask(gateway, port);
    return false;
  });
}

async function trip(gateway: TestGateway, replica: Shaky, port?: Port): Promise<void> {
  replica.failing = true;
  await askUntil(gateway, replica, OPEN, port);
  replica.failing = false;
}

async function hears(gateway: TestGateway, replica: Upstream, wanted: number): Promise<void> {
  await eventually('the news', async () => (await state(gateway, replica)) === wanted);
}

describe.each(PORTS)('news of a breaker on the %s port', (port) => {
  it('opens it at another gateway, which has seen no failure', async () => {
    await using w = await world({}, {});
    await trip(w.here.gateway, w.shaky, port);
    await hears(w.there.gateway, w.shaky, OPEN);
    expect(await failures(w.here.gateway)).toBe(3);
    expect(await failures(w.there.gateway)).toBe(0);
    const before = w.shaky.requests.length;
    for (let i = 0; i < 10; i += 1) expect(await ask(w.there.gateway, port)).toBe(200);
    expect(w.shaky.requests).toHaveLength(before);
    expect(await state(w.there.gateway, w.other)).toBe(CLOSED);
    expect(messages(w.there.gateway)).toContain(
      `Circuit Breaker: Service ${w.shaky.url.origin} is open: another gateway said so`,
    );
  });

  it('that it responds badly changes nothing where it serves somebody', async () => {
    await using w = await world({}, {}, {});
    for (let i = 0; i < 2 * REPLICAS; i += 1) expect(await ask(w.there.gateway, port)).toBe(200);
    await trip(w.here.gateway, w.shaky, port);
    await hears(w.third.gateway, w.shaky, OPEN);
    w.there.clock.advance(WINDOW_MS);
    await trip(w.here.gateway, w.other, port);
    await hears(w.there.gateway, w.other, OPEN);
    expect(await state(w.there.gateway, w.shaky)).toBe(CLOSED);
  });

  it('leaves each to find its own way back, and ends the cooldown of the others', async () => {
    await using w = await world({}, {});
    await trip(w.here.gateway, w.shaky, port);
    await hears(w.there.gateway, w.shaky, OPEN);
    // Nobody's time moves but there.
    w.there.clock.advance(COOLDOWN_MS);
    await askUntil(w.there.gateway, w.shaky, CLOSED, port);
    await hears(w.here.gateway, w.shaky, HALF_OPEN);
    const before = w.shaky.requests.length;
    await askUntil(w.here.gateway, w.shaky, CLOSED, port);
    expect(w.shaky.requests).toHaveLength(before + 1);
  });

  it('is no verdict: who hears of a recovery opens again when its own trial fails', async () => {
    await using w = await world({}, {});
    await trip(w.here.gateway, w.shaky, port);
    await hears(w.there.gateway, w.shaky, OPEN);
    w.there.clock.advance(COOLDOWN_MS);
    await askUntil(w.there.gateway, w.shaky, CLOSED, port);
    await hears(w.here.gateway, w.shaky, HALF_OPEN);
    await trip(w.here.gateway, w.shaky, port);
    // A gateway that alone cannot reach a replica must not keep the others from it for ever.
    w.there.clock.advance(WINDOW_MS);
    await trip(w.here.gateway, w.other, port);
    await hears(w.there.gateway, w.other, OPEN);
    expect(await state(w.there.gateway, w.shaky)).toBe(CLOSED);
  });
});

describe('BREAKER_SHARED=false', () => {
  const alone = { BREAKER_SHARED: 'false' };

  it('hears nothing', async () => {
    await using w = await world({}, alone, {});
    await trip(w.here.gateway, w.shaky);
    await hears(w.third.gateway, w.shaky, OPEN);
    expect(await state(w.there.gateway, w.shaky)).toBe(CLOSED);
  });

  it('tells nothing', async () => {
    await using w = await world({}, {}, alone);
    await trip(w.third.gateway, w.shaky);
    await trip(w.here.gateway, w.other);
    await hears(w.there.gateway, w.other, OPEN);
    expect(await state(w.there.gateway, w.shaky)).toBe(CLOSED);
  });
});

describe('news of breakers', () => {
  it('deregisters a replica once, however many gateways hear of it', async () => {
    const replicas = new Replicas();
    await using registry = await startUpstream(
      registryApp(replicas, { form: 'document', countsIncrements: true }),
      { readsBody: false },
    );
    const discovery = {
      SERVICE_DISCOVERY_URL: registry.url.origin,
      SERVICE_DISCOVERY_DEREGISTER: '/deregister?service_id={host}:{port}',
    };
    await using w = await world(discovery, discovery);
    await trip(w.here.gateway, w.shaky);
    await hears(w.there.gateway, w.shaky, OPEN);
    await trip(w.there.gateway, w.other);
    const deregistrations = () =>
      registry.requests.filter(({ method }) => method === 'DELETE').map(({ target }) => target);
    await eventually('both are deregistered', () => deregistrations().length === 2);
    expect(deregistrations()).toEqual(
      [w.shaky, w.other].map(({ url }) => `/deregister?service_id=${url.host}`),
    );
  });

  it('is of the same replica where gateways call it differently', async () => {
    await using shaky = await startShaky();
    await using other = await startShaky();
    const start = (replicas: Shaky[]) =>
      startGateway({ services: { [SERVICE]: replicas }, store: 'redis', clock: new ManualClock() });
    await using here = await start([shaky, other]);
    await using there = await start([other, shaky]);
    await trip(here, shaky);
    await hears(there, shaky, OPEN);
    expect(await state(there, other)).toBe(CLOSED);
  });

  it('does nothing when it is forged, but for one line', async () => {
    await using w = await world({}, {});
    const before = messages(w.there.gateway).length;
    const news = {
      gateway: 'x',
      service: SERVICE,
      replica: w.shaky.url.host,
      verdict: 'failing',
      failure: 'bad',
    };
    const forged = [
      'nonsense',
      '',
      '[]',
      'null',
      '{"gateway":',
      'x'.repeat(2 ** 20),
      ...[
        {},
        { ...news, verdict: 'dead' },
        { ...news, failure: 'ugly' },
        { ...news, failure: undefined },
        { ...news, service: 7 },
        { ...news, service: '/nobody' },
        { ...news, service: '__proto__' },
        { ...news, replica: 'stranger:80' },
        { ...news, replica: '__proto__' },
      ].map((message) => JSON.stringify(message)),
    ];
    const client = await createClient({ url: redisTestUrl() }).connect();
    const [channel = ''] = (await client.pubSubChannels())
      .map(String)
      .filter((name) => /breakers/.test(name));
    expect(channel).not.toBe('');
    for (const message of forged) expect(await client.publish(channel, message)).toBeGreaterThanOrEqual(2);
    await client.close();
    await trip(w.here.gateway, w.other);
    await hears(w.there.gateway, w.other, OPEN);
    expect(await state(w.there.gateway, w.shaky)).toBe(CLOSED);
    const metrics = await (await fetch(`${w.there.gateway.internal}/metrics`)).text();
    expect(metrics).not.toMatch(/stranger|__proto__|"\/nobody"/);
    const lines = messages(w.there.gateway)
      .slice(before)
      .filter((line) => !/^(Gateway listening|Internal port)/.test(line));
    expect(lines).toEqual([
      'News of breakers that cannot be read',
      `Circuit Breaker: Service ${w.other.url.origin} is open: another gateway said so`,
    ]);
  });

  it('is missed while Redis is dead, which changes nothing else, and heard again afterwards', async () => {
    const redis = await startRedis();
    const env = { REDIS_URL: redis.url, CIRCUIT_BREAKER_COOLDOWN: '300ms' };
    await using stack = new AsyncDisposableStack();
    stack.defer(() => redis.stop());
    const [shaky, steady] = [stack.use(await startShaky()), stack.use(await startShaky())];
    const services = { [SERVICE]: [shaky, steady] };
    const here = stack.use(await startGateway({ services, env }));
    const there = stack.use(await startGateway({ services, env }));
    await redis.kill();
    await trip(here, shaky);
    for (let i = 0; i < 10; i += 1) expect(await ask(here)).toBe(200);
    await askUntil(here, shaky, CLOSED);
    expect(await state(there, shaky)).toBe(CLOSED);
    expect(messages(there).filter((line) => line.includes('another gateway'))).toEqual([]);

    await redis.restart();
    for (const gateway of [here, there]) {
      await eventually(
        'Redis is back',
        async () => (await fetch(`${gateway.external}/readyz`)).status === 200,
      );
    }
    await trip(here, shaky);
    await eventually('the news', () => messages(there).some((line) => line.includes('another gateway')));
    expect(await failures(there)).toBe(0);
  });
});
