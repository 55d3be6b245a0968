import { describe, expect, it } from '@jest/globals';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { type GatedUpstream, startGated } from '../../support/upstreams/gated.ts';

const env = { REQUEST_TIMEOUT: '60s', GET_CACHE_TTL: 'off' };

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly service: GatedUpstream;
  readonly clock: ManualClock;
  /** Asks the service once, as this user and from this address of the machine. */
  ask(user: string, localAddress?: string): Promise<CallResponse>;
}

async function startWorld(more: Record<string, string> = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const service = stack.use(await startGated());
  const clock = new ManualClock();
  const gateway = stack.use(
    await startGateway({ services: { '/budgeting': [service] }, env: { ...env, ...more }, clock }),
  );
  const tokens = new Map<string, string>();
  const tokenOf = (user: string) => {
    if (!tokens.has(user)) tokens.set(user, tokenFor(user));
    return tokens.get(user) as string;
  };
  return {
    gateway,
    service,
    clock,
    ask: (user, localAddress) =>
      call(`${gateway.external}/budgeting/x`, { headers: bearer(tokenOf(user)), localAddress }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const atService = ({ service }: World, count: number) =>
  eventually(`${count} requests at the service`, () => service.waiting.length === count);

const refusals = ({ gateway }: World) => gateway.metric('gateway_concurrency_limit_reached_total');
const isFull = ({ service }: World) => service.waiting.length === 10;

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

async function codeOf(answer: Promise<CallResponse>): Promise<string> {
  const { status, body, headers } = await answer;
  if (status === 200) return 'answered';
  expect(headers['retry-after']).toBe('1');
  return JSON.parse(body.toString()).code;
}

/** Sends so many requests of one user and resolves to the codes of those that were refused. */
async function askMany({ ask }: World, user: string, count: number, refusals: number): Promise<string[]> {
  const refused: string[] = [];
  for (let n = 0; n < count; n += 1) {
    void codeOf(ask(user)).then((code) => code === 'answered' || refused.push(code));
  }
  await eventually(`${refusals} refusals`, () => refused.length === refusals);
  return refused;
}

describe('FAIR_SHARE', () => {
  it('lets a user who is alone have all permits, and refuses past the limit', async () => {
    await using world = await startWorld();
    expect(await askMany(world, 'greedy', 15, 5)).toEqual(Array(5).fill('service_busy'));
    await atService(world, 10);
    world.service.answerOne();
    await atService(world, 9);
    expect(await askMany(world, 'greedy', 2, 1)).toEqual(['service_busy']);
    while (world.service.waiting.length > 0) world.service.answerOne();
  });

  it.each([
    { from: 'the same address', localAddress: undefined },
    { from: 'another address', localAddress: '127.0.0.2' },
  ])('leaves room for another user from $from', async ({ localAddress }) => {
    await using world = await startWorld();
    await askMany(world, 'greedy', 15, 5);
    await atService(world, 10);
    expect(await codeOf(world.ask('other', localAddress))).toBe('service_busy');
    // From now on what comes free is not the greedy one's to take.
    for (let n = 0; n < 2; n += 1) {
      world.service.answerOne();
      await atService(world, 9 - n);
      expect(await codeOf(world.ask('greedy'))).toBe('fair_share_used');
    }
    const others = [world.ask('other', localAddress), world.ask('other', localAddress)];
    await atService(world, 10);
    expect(await codeOf(world.ask('greedy'))).toBe('service_busy');
    expect(await codeOf(world.ask('other', localAddress))).toBe('service_busy');
    while (world.service.waiting.length > 0) world.service.answerOne();
    for (const answer of others) expect((await answer).status).toBe(200);
  });

  it.each([
    {
      place: 'the query',
      line: (token: string) => `GET /budgeting/x?access_token=${token}`,
      fields: () => [],
    },
    {
      place: 'a subprotocol',
      line: () => 'GET /budgeting/x',
      fields: (token: string) => [`Sec-WebSocket-Protocol: bearer, ${token}`],
    },
  ])('tells users of one address apart who send their tokens in $place', async ({ line, fields }) => {
    await using world = await startWorld({ AUTH_QUERY_TOKEN_PATHS: '/budgeting' });
    const shake = (token: string) =>
      sendRaw(world.gateway.external, request(line(token), ...HANDSHAKE, ...fields(token)));
    const greedy = tokenFor('greedy');
    const answers = Array.from({ length: 10 }, () => shake(greedy));
    await atService(world, 10);
    await expectProblem(await shake(tokenFor('other')), 'service_busy');
    world.service.answerOne();
    await atService(world, 9);
    // Without the other one it would wait at the service.
    const refused = shake(greedy);
    await eventually('it is decided', async () => (await refusals(world)) === 2 || isFull(world));
    while (world.service.waiting.length > 0) world.service.answerOne();
    await expectProblem(await refused, 'fair_share_used');
    for (const answer of answers) expect((await answer).status).toBe(200);
  });

  it('counts nobody but those who have asked within ten seconds', async () => {
    await using world = await startWorld();
    const other = world.ask('other');
    await atService(world, 1);
    world.service.answerOne();
    await other;
    expect(await askMany(world, 'greedy', 10, 2)).toEqual(['fair_share_used', 'fair_share_used']);
    world.clock.advance(10_000);
    expect(await askMany(world, 'greedy', 3, 1)).toEqual(['service_busy']);
    await atService(world, 10);
    while (world.service.waiting.length > 0) world.service.answerOne();
  });

  it('holds for the permits of the gateway as well', async () => {
    await using world = await startWorld({ GLOBAL_CONCURRENCY: '10', PER_SERVICE_LIMIT: '100' });
    const other = world.ask('other');
    await atService(world, 1);
    expect(await askMany(world, 'greedy', 9, 1)).toEqual(['fair_share_used']);
    await atService(world, 9);
    while (world.service.waiting.length > 0) world.service.answerOne();
    expect((await other).status).toBe(200);
  });

  it('at 1 tells nobody apart', async () => {
    await using world = await startWorld({ FAIR_SHARE: '1' });
    const other = world.ask('other');
    await atService(world, 1);
    expect(await askMany(world, 'greedy', 10, 1)).toEqual(['service_busy']);
    await atService(world, 10);
    while (world.service.waiting.length > 0) world.service.answerOne();
    expect((await other).status).toBe(200);
  });

  it('lets the requests of one user wait without holding up those behind', async () => {
    await using world = await startWorld({ PER_SERVICE_LIMIT: '5', CONCURRENCY_QUEUE: '20' });
    const { requests } = world.gateway.gateway.parts.services[0]?.limits ?? {};
    const first = world.ask('first');
    await atService(world, 1);
    const greedy = Array.from({ length: 4 }, () => world.ask('greedy'));
    await atService(world, 5);
    // These wait as requests of their address: who they are is known when they get their permit.
    const waiting = world.ask('other');
    await eventually('it waits', () => requests?.waiting === 1);
    world.service.answerOne();
    await first;
    await atService(world, 5);
    while (world.service.waiting.length > 0) world.service.answerOne();
    expect((await waiting).status).toBe(200);
    for (const answer of greedy) expect((await answer).status).toBe(200);
    expect(requests).toMatchObject({ held: 0, waiting: 0 });
  });

  it('counts the refusals', async () => {
    await using world = await startWorld();
    const other = world.ask('other');
    await atService(world, 1);
    await askMany(world, 'greedy', 9, 1);
    const { gateway } = world;
    const labels = { service: '/budgeting', code: 'fair_share_used' };
    expect(await gateway.metric('gateway_errors_total', labels)).toBe(1);
    expect(await gateway.metric('gateway_concurrency_limit_reached_total', { service: '/budgeting' })).toBe(
      1,
    );
    while (world.service.waiting.length > 0) world.service.answerOne();
    await other;
  });
});
