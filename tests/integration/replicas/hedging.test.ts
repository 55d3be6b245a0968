import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { RawClient, type RawResponse } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { instanceOf } from '../../support/upstreams/instance.ts';
import { resets, startRawUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const DEADLINE_MS = 3000;
const token = tokenFor('ann');

const ok = (from: string) => `HTTP/1.1 200 OK\r\nX-From: ${from}\r\nContent-Length: 2\r\n\r\nok`;

/** A replica that responds at once, until it is told to wait; then when and how the test says. */
async function startReplica(name: string) {
  const waiting: Socket[] = [];
  let waits = false;
  const upstream = await startRawUpstream((socket) => {
    if (waits) waiting.push(socket);
    else socket.write(ok(name));
  });
  return Object.assign(upstream, {
    name,
    wait: () => {
      waits = true;
    },
    /** Says this to all that wait, by default a whole response. */
    say: (bytes = ok(name)) => {
      for (const socket of waiting.splice(0)) socket.write(bytes);
    },
    /** Says that a response will come. */
    hint: () => {
      const bytes = `HTTP/1.1 103 Early Hints\r\nLink: </${name}.css>; rel=preload\r\n\r\n`;
      for (const socket of waiting) socket.write(bytes);
    },
    /** Says a whole response to the latest that waits. */
    sayToLatest: () => void waiting.pop()?.write(ok(name)),
    reset: () => {
      for (const socket of waiting) socket.resetAndDestroy();
    },
    waiting: () => waiting.filter(({ closed }) => !closed).length,
  });
}

type Waiter = Awaited<ReturnType<typeof startReplica>>;

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  /** Sends a request, which waits; resolves once a replica has it, to that one and the other. */
  begin(request?: Partial<Record<'method' | 'fields' | 'content', string>>): Promise<Begun>;
}

type Asked = Waiter & { readonly instance: string };

interface Begun {
  readonly client: RawClient;
  readonly response: () => Promise<RawResponse>;
  readonly first: Asked;
  readonly second: Asked;
}

/** Two replicas that have responded fast so far, and wait from here on. */
async function startWorld(port: Port): Promise<World> {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const a = stack.use(await startReplica('a'));
  const b = stack.use(await startReplica('b'));
  const named = {
    a: Object.assign(a, { instance: instanceOf(a, [a, b]) }),
    b: Object.assign(b, { instance: instanceOf(b, [a, b]) }),
  };
  const gateway = await startGateway({ services: { '/x': [a, b] }, clock, env: { LOG_LEVEL: 'debug' } });
  stack.use(gateway);
  const send = async (method: string, fields: string, content = '') => {
    const client = stack.use(await RawClient.to(gateway[port]));
    const target = port === 'internal' ? '/internal/x/y' : '/x/y';
    // Nothing of it comes from the cache.
    const own = port === 'internal' ? '' : `Authorization: ${bearer(token).Authorization}\r\n`;
    client.send(
      `${method} ${target}?${crypto.randomUUID()} HTTP/1.1\r\nHost: x\r\n${own}${fields}\r\n${content}`,
    );
    return client;
  };
  for (let n = 0; n < 4; n += 1) expect((await (await send('GET', '')).answer()).status).toBe(200);
  await expectNothingHeld(gateway);
  // Responses of before are none that come while a request waits.
  clock.advance(1);
  a.wait();
  b.wait();
  return {
    gateway,
    clock,
    async begin({ method = 'GET', fields = '', content = '' } = {}) {
      const before = [a.waiting(), b.waiting()];
      const client = await send(method, fields, content);
      const [first, second] = await eventually('a replica has it', () => {
        if (a.waiting() > (before[0] ?? 0)) return [named.a, named.b] as const;
        return b.waiting() > (before[1] ?? 0) ? ([named.b, named.a] as const) : undefined;
      });
      return { client, response: () => client.answer(method), first, second };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const failuresOf = ({ gateway }: World) => gateway.metric('gateway_circuit_breaker_failures_total');

async function hedges({ gateway }: World) {
  return {
    sent: await gateway.metric('gateway_hedges_total'),
    won: await gateway.metric('gateway_hedges_won_total'),
  };
}

/** Half of the deadline passes: the other replica gets the request, too. */
async function hedged({ clock }: World, { second }: Begun): Promise<void> {
  clock.advance(DEADLINE_MS / 2);
  await eventually('the second replica has it', () => second.waiting() === 1);
}

const accessLine = ({ gateway }: World, client: RawClient) =>
  eventually('the access line', async () => {
    const { field } = await client.answer();
    return gateway
      .logLines()
      .find(({ requestId, status }) => status !== undefined && requestId === field('x-request-id'));
  });

describe.each(PORTS)('on the %s port, a request whose replica is silent', (port) => {
  it('is sent to a second one as well, whose response wins', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    world.clock.advance(DEADLINE_MS / 2 - 1);
    expect(begun.second.waiting()).toBe(0);
    world.clock.advance(1);
    await eventually('the second replica has it', () => begun.second.waiting() === 1);
    begun.second.say();
    const response = await begun.response();
    expect([response.status, response.field('x-from')]).toEqual([200, begun.second.name]);
    await eventually('the first is let go', () => begun.first.waiting() === 0);
    expect(await hedges(world)).toEqual({ sent: 1, won: 1 });
    expect(await failuresOf(world)).toBe(0);
    expect(await world.gateway.metric('gateway_failovers_total')).toBe(0);
    expect(await accessLine(world, begun.client)).toMatchObject({
      replica: begun.second.instance,
      status: 200,
    });
    expect(
      world.gateway.logLines().filter(({ message }) => String(message).startsWith('Hedge: ')),
    ).toHaveLength(1);
  });

  it('gets the response of the first, if that comes first', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    world.clock.advance(DEADLINE_MS * 0.3);
    begun.first.say();
    const response = await begun.response();
    expect([response.status, response.field('x-from')]).toEqual([200, begun.first.name]);
    await eventually('the second is let go', () => begun.second.waiting() === 0);
    expect(await hedges(world)).toEqual({ sent: 1, won: 0 });
    expect(await failuresOf(world)).toBe(0);
    expect(await accessLine(world, begun.client)).toMatchObject({ replica: begun.first.instance });
  });

  it('is given one response, although both come in the same turn', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.first.say();
    begun.second.say();
    expect(await begun.response()).toMatchObject({ status: 200, body: 'ok', whole: true, rest: '' });
    expect(await failuresOf(world)).toBe(0);
  });

  it('is left alone as long as its replica responds to others', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    world.clock.advance(DEADLINE_MS / 4);
    const others = [await world.begin(), await world.begin(), await world.begin()];
    const other = others.find(({ first }) => first === begun.first);
    begun.first.sayToLatest();
    expect((await other?.response())?.status).toBe(200);
    const atSecond = begun.second.waiting();
    world.clock.advance(DEADLINE_MS / 2 - 1);
    expect(begun.second.waiting()).toBe(atSecond);
    expect(await hedges(world)).toEqual({ sent: 0, won: 0 });
    begun.first.say();
    begun.second.say();
    await begun.response();
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    'is never sent twice when it is a %s',
    async (method) => {
      await using world = await startWorld(port);
      const begun = await world.begin({ method, fields: 'Content-Length: 0\r\n' });
      world.clock.advance(DEADLINE_MS - 1);
      begun.first.say();
      expect((await begun.response()).status).toBe(200);
      expect(begun.second.waiting()).toBe(0);
      expect(await hedges(world)).toEqual({ sent: 0, won: 0 });
    },
  );

  it('is hedged when it is a HEAD, and not when it is a GET with content', async () => {
    await using world = await startWorld(port);
    const withContent = await world.begin({ fields: 'Content-Length: 1\r\n', content: 'x' });
    world.clock.advance(DEADLINE_MS / 2);
    expect(await hedges(world)).toEqual({ sent: 0, won: 0 });
    withContent.first.say();
    await withContent.response();
    world.clock.advance(1);
    const head = await world.begin({ method: 'HEAD' });
    await hedged(world, head);
    head.second.say(`HTTP/1.1 200 OK\r\nX-From: ${head.second.name}\r\nContent-Length: 2\r\n\r\n`);
    expect((await head.response()).field('x-from')).toBe(head.second.name);
  });

  it('waits for the second when the first fails meanwhile', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.first.reset();
    await eventually('the failure is counted', async () => (await failuresOf(world)) === 1);
    begun.second.say();
    expect((await begun.response()).field('x-from')).toBe(begun.second.name);
    expect(await accessLine(world, begun.client)).toMatchObject({ replica: begun.second.instance });
  });

  it('waits for the first when the second fails meanwhile', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.second.reset();
    await eventually('the failure is counted', async () => (await failuresOf(world)) === 1);
    begun.first.say();
    expect((await begun.response()).field('x-from')).toBe(begun.first.name);
    expect(await accessLine(world, begun.client)).toMatchObject({ replica: begun.first.instance });
  });

  it.each(['first', 'second'] as const)(
    'gets the error that says most: the %s response is broken',
    async (broken) => {
      await using world = await startWorld(port);
      const begun = await world.begin();
      await hedged(world, begun);
      begun[broken === 'first' ? 'second' : 'first'].reset();
      await eventually('the failure is counted', async () => (await failuresOf(world)) === 1);
      begun[broken].say('nonsense\r\n\r\n');
      const response = await begun.response();
      expect([response.status, JSON.parse(response.body).code]).toEqual([502, 'upstream_bad_response']);
      expect(await accessLine(world, begun.client)).toMatchObject({ replica: begun[broken].instance });
    },
  );

  it('costs neither replica anything when its client leaves', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.client.reset();
    await eventually('both are let go', () => begun.first.waiting() + begun.second.waiting() === 0);
    await expectNothingHeld(world.gateway);
    expect(await failuresOf(world)).toBe(0);
  });

  it('is a failure of the first alone at the deadline: the second had a part of it only', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    world.clock.advance(DEADLINE_MS / 2);
    expect((await begun.response()).status).toBe(504);
    await eventually('both are let go', () => begun.first.waiting() + begun.second.waiting() === 0);
    const instance = { service: '/x', instance: begun.first.instance };
    expect(await world.gateway.metric('gateway_circuit_breaker_failures_total', instance)).toBe(1);
    expect(await failuresOf(world)).toBe(1);
    expect(await accessLine(world, begun.client)).toMatchObject({
      replica: begun.first.instance,
      status: 504,
    });
  });

  it('hears no early hints of a replica whose response may not be the one it gets', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.first.hint();
    begun.second.hint();
    begun.second.say();
    const response = await begun.response();
    expect(response).toMatchObject({ status: 200, body: 'ok' });
    expect(begun.client.received).not.toContain('.css');
  });

  it('reaches services twice at most, also when kept connections are lost', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    const seen = (replicas: readonly Upstream[]) => replicas.flatMap(({ requests }) => requests).length;
    const before = seen([begun.first, begun.second]);
    await hedged(world, begun);
    begun.first.reset();
    begun.second.reset();
    expect((await begun.response()).status).toBe(502);
    expect(seen([begun.first, begun.second]) - before).toBe(1);
  });

  it('counts a replica as busy for a deadline with what was taken from it', async () => {
    await using world = await startWorld(port);
    const begun = await world.begin();
    await hedged(world, begun);
    begun.second.say();
    await begun.response();
    await underWay(world.gateway, 1);
    const next = await world.begin();
    expect(next.first).toBe(begun.second);
    next.first.say();
    await next.response();
    world.clock.advance(DEADLINE_MS);
    await expectNothingHeld(world.gateway);
  });
});

describe.each(PORTS)('on the %s port, a service of one replica', (port) => {
  it('has no hedges', async () => {
    const clock = new ManualClock();
    await using only = await startRawUpstream(resets);
    await using gateway = await startGateway({ services: { '/x': [only] }, clock });
    const url = port === 'external' ? `${gateway.external}/x/y` : `${gateway.internal}/internal/x/y`;
    expect((await fetch(url, { headers: port === 'external' ? bearer(token) : {} })).status).toBe(502);
    expect(await gateway.metric('gateway_hedges_total')).toBe(0);
  });
});
