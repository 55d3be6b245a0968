import { describe, expect, it } from '@jest/globals';
import { BUILT_IN_SERVICES } from '../../../config/sections/services.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, type TestService } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const TASK = '1.k7oqrdzi84fqlnd59vy81zums';

/** What the stack calls each service: its registry's name and those of its compose files. */
const STACK: Readonly<Record<string, readonly string[]>> = {
  '/userManagement': ['user-management'],
  '/notification': ['notification', 'notification-service'],
  '/teaManagement': ['tea-management', 'tm-service'],
  '/communication': ['communication', 'c-service'],
  '/booking': ['cab-booking', 'cab-booking-service'],
  '/checkin': ['checkin', 'checkin-service'],
  '/lostFound': ['lost-found', 'lost-found-service', 'lostFound-service'],
  '/budgeting': ['budgeting', 'budgeting-service'],
  '/fundRaising': ['fund-raising', 'fr-service'],
  '/sharing': ['sharing', 's-service'],
};

/** The services of a gateway by their built-in names, without their static upstreams. */
const BUILT_IN = Object.fromEntries(
  BUILT_IN_SERVICES.map(({ name, path, aliases }) => [path, { name, aliases, upstreams: [] }]),
);

function entry({ url }: Upstream, name: string, host = url.hostname) {
  return { name, host, port: Number(url.port), url: url.origin, status: 'healthy' };
}

interface WorldOptions {
  readonly services: Readonly<Record<string, TestService>>;
  readonly env?: Record<string, string>;
}

/** A gateway that looks all the time at a registry whose list the test writes. */
async function world(list: unknown, { services, env = {} }: WorldOptions) {
  const stack = new AsyncDisposableStack();
  const listing = { body: list };
  const registry = stack.use(
    await startUpstream((req, res) => sendJson(res, req.method === 'GET' ? listing.body : {})),
  );
  const gateway = stack.use(
    await startGateway({
      services,
      env: { SERVICE_DISCOVERY_URL: registry.url.origin, SERVICE_REFRESH_INTERVAL: '20ms', ...env },
    }),
  );
  const looks = () => registry.requests.filter(({ method }) => method === 'GET').length;
  const lookedAgain = async () => {
    const before = looks();
    await eventually('the gateway has looked again', () => looks() >= before + 3);
  };
  await lookedAgain();
  return {
    gateway,
    lookedAgain,
    async lists(body: unknown) {
      listing.body = body;
      await lookedAgain();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function ask({ internal }: Pick<TestGateway, 'internal'>, path: string): Promise<number> {
  return (await fetch(`${internal}/internal${path}/x`, { method: 'POST' })).status;
}

function unknownLines(gateway: TestGateway): string[] {
  return gateway
    .logLines()
    .filter(({ level, message }) => level === 'warn' && String(message).includes('no service is called'))
    .map(({ message }) => String(message));
}

const NO_REPLICA = 503;

describe('every name of the stack', () => {
  const spellings: [string, (name: string) => string][] = [
    ['as it is', (name) => name],
    ['behind padstack_', (name) => `padstack_${name}`],
    ['behind test-stack_, as a task', (name) => `test-stack_${name}.${TASK}`],
    ['behind a stack with underscores of its own', (name) => `my_own_stack_${name}.12.xxx`],
    [
      'as a task of a global service',
      (name) => `${name}.k7oqrdzi84fqlnd59vy81zums.k7oqrdzi84fqlnd59vy81zumx`,
    ],
    ['as a numbered task', (name) => `${name}.2`],
    ['in capitals', (name) => name.toUpperCase()],
    ['with underscores', (name) => name.replaceAll('-', '_')],
  ];
  it.each(spellings)('leads to its service, %s', async (_how, spell) => {
    await using upstream = await startUpstream();
    for (const names of transposed(Object.values(STACK))) {
      const list = names.map((name) => entry(upstream, spell(name)));
      await using w = await world(list, { services: BUILT_IN });
      const statuses = await Promise.all(Object.keys(STACK).map((path) => ask(w.gateway, path)));
      expect(statuses).toEqual(statuses.map(() => 200));
      expect(unknownLines(w.gateway)).toEqual([]);
      expect(await w.gateway.metric('gateway_registry_unknown_names')).toBe(0);
    }
  });

  it('is where a static upstream leads, for one of them', () => {
    const leads = BUILT_IN_SERVICES.map(({ path, upstreams = [] }) => [
      path,
      new URL(upstreams[0] ?? '').hostname,
    ]);
    for (const [path = '', host] of leads) expect(STACK[path]).toContain(host);
    expect(leads).toHaveLength(10);
  });
});

/** The first of each row, then the second (the last where there is none), and so on. */
function transposed(rows: readonly (readonly string[])[]): string[][] {
  const longest = Math.max(...rows.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => rows.map((row) => row[at] ?? row.at(-1) ?? ''));
}

describe('a name that only looks like one', () => {
  const OTHERS = [
    'budgeting-service-v2',
    'not-budgeting',
    'budgetingservice',
    'budgeting.v2',
    'budgeting.1.2.3',
    'padstack-budgeting',
    'my_budgeting-v2',
    'budget',
  ];
  it.each(OTHERS)('%s leads nowhere', async (name) => {
    await using upstream = await startUpstream();
    await using w = await world([entry(upstream, name)], { services: BUILT_IN });
    expect(await ask(w.gateway, '/budgeting')).toBe(NO_REPLICA);
    expect(upstream.requests).toEqual([]);
    expect(unknownLines(w.gateway)).toHaveLength(1);
  });

  it('leads to the service that has it, whatever else it looks like', async () => {
    await using old = await startUpstream();
    await using next = await startUpstream();
    await using other = await startUpstream();
    const services = {
      '/budgeting': { upstreams: [], aliases: ['budgeting-service'] },
      '/next': { upstreams: [], aliases: ['budgeting-service-v2', 'budgeting.2'] },
      '/other': { upstreams: [], aliases: ['padstack_budgeting'] },
    };
    const list = [
      entry(old, 'padstack_budgeting-service'),
      entry(next, 'padstack_budgeting-service-v2'),
      entry(next, 'budgeting.2'),
      entry(other, 'padstack_budgeting.1'),
    ];
    await using w = await world(list, { services });
    for (const path of Object.keys(services)) expect(await ask(w.gateway, path)).toBe(200);
    expect([old, next, other].map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
  });
});

describe('SERVICE_DISCOVERY_STACK', () => {
  const services = { '/orders': { upstreams: [] }, '/my-orders': { upstreams: [] } };

  it('makes the replicas of other stacks unknown', async () => {
    await using own = await startUpstream();
    await using foreign = await startUpstream();
    const list = [entry(own, `my_orders.${TASK}`), entry(foreign, `test_orders.${TASK}`)];
    await using w = await world(list, { services, env: { SERVICE_DISCOVERY_STACK: 'my' } });
    for (let n = 0; n < 4; n += 1) expect(await ask(w.gateway, '/orders')).toBe(200);
    expect([own.requests.length, foreign.requests.length]).toEqual([4, 0]);
    expect(await w.gateway.metric('gateway_registry_unknown_names', { name: 'test_orders' })).toBe(1);
  });

  it('takes nothing off a name that is exactly the alias of a service', async () => {
    await using upstream = await startUpstream();
    const both = { '/orders': { upstreams: [] }, '/other': { upstreams: [], aliases: ['my_orders'] } };
    const list = [entry(upstream, `my_orders.${TASK}`)];
    await using w = await world(list, { services: both, env: { SERVICE_DISCOVERY_STACK: 'my' } });
    expect([await ask(w.gateway, '/orders'), await ask(w.gateway, '/other')]).toEqual([NO_REPLICA, 200]);
  });

  it('says which of two services is meant, where without it the whole name counts', async () => {
    await using upstream = await startUpstream();
    await using w = await world([entry(upstream, 'my_orders')], { services });
    expect([await ask(w.gateway, '/orders'), await ask(w.gateway, '/my-orders')]).toEqual([NO_REPLICA, 200]);
  });
});

describe('a name that no service has', () => {
  it('is logged once, with the nearest name, and shown for as long as it is listed', async () => {
    await using upstream = await startUpstream();
    const foreign = [
      entry(upstream, `padstack_tm-servise.1.k7oqrdzi84fqlnd59vy81zums`),
      entry(upstream, `padstack_tm-servise.2.k7oqrdzi84fqlnd59vy81zumx`),
      entry(upstream, 'redis'),
    ];
    await using w = await world([entry(upstream, 'budgeting'), ...foreign], { services: BUILT_IN });
    await w.lookedAgain();
    expect(unknownLines(w.gateway)).toEqual([
      'The registry lists what no service is called, and it gets no requests: ' +
        '"padstack_tm-servise" (did you mean tm-service?), "redis"',
    ]);
    const shown = (name: string) => w.gateway.metric('gateway_registry_unknown_names', { name });
    expect([await shown('padstack_tm-servise'), await shown('redis')]).toEqual([2, 1]);

    await w.lists([
      entry(upstream, 'budgeting'),
      entry(upstream, 'redis'),
      entry(upstream, 'padstack_tm-service'),
    ]);
    expect([await shown('padstack_tm-servise'), await shown('redis')]).toEqual([0, 1]);
    expect(await ask(w.gateway, '/teaManagement')).toBe(200);
    expect(unknownLines(w.gateway)).toHaveLength(1);

    await w.lists([entry(upstream, 'budgeting'), ...foreign]);
    expect(unknownLines(w.gateway).slice(1)).toEqual([expect.stringMatching(/"padstack_tm-servise"[^,]*$/)]);
  });

  it('stays known while the registry is away', async () => {
    await using upstream = await startUpstream();
    await using w = await world([entry(upstream, 'redis')], { services: BUILT_IN });
    await w.lists('not a list');
    await w.lists([entry(upstream, 'redis')]);
    expect(unknownLines(w.gateway)).toHaveLength(1);
  });

  it('is one of thousands: the log shows ten, in bounds, and the metric as many as it may', async () => {
    await using upstream = await startUpstream();
    const names = Array.from({ length: 3000 }, (_, n) => `${n}-${'x'.repeat(200)}`);
    await using w = await world(
      names.map((name) => entry(upstream, name)),
      { services: BUILT_IN },
    );
    const [line = ''] = unknownLines(w.gateway);
    expect(line).toMatch(/"9-x+\.\.\.", and 2990 more$/);
    expect(line.length).toBeLessThan(1000);
    const metrics = await w.gateway.gateway.parts.metrics.registry.metrics();
    expect(metrics.match(/^gateway_registry_unknown_names\{/gm)).toHaveLength(1000);
    expect(await w.gateway.metric('gateway_registry_unknown_names')).toBe(3000);
  });

  it('cannot forge a log line or a metric', async () => {
    await using upstream = await startUpstream();
    const name = 'x"} 1\nforged 1\n\u009b\u202e';
    await using w = await world([entry(upstream, name)], { services: BUILT_IN });
    expect(unknownLines(w.gateway)).toEqual([expect.stringContaining(String.raw`"x\"} 1\nforged 1\n`)]);
    const text = await (await fetch(`${w.gateway.internal}/metrics`)).text();
    expect(text).toContain(String.raw`gateway_registry_unknown_names{name="x\"} 1\nforged 1`);
    expect(text).not.toMatch(/^forged/m);
  });

  it('is shown by a gateway of several threads', async () => {
    await using upstream = await startUpstream();
    const list = [entry(upstream, `padstack_s-service.${TASK}`), entry(upstream, 'sharring')];
    await using registry = await startUpstream((_req, res) => sendJson(res, list));
    await using gateway = await startGatewayProcess({
      services: BUILT_IN,
      env: { WORKERS: '2', SERVICE_DISCOVERY_URL: registry.url.origin },
    });
    await eventually('the replica is known', async () => (await ask(gateway, '/sharing')) === 200);
    const text = await (await fetch(`${gateway.internal}/metrics`)).text();
    expect(text).toContain('\ngateway_registry_unknown_names{name="sharring"} 1\n');
  });
});
