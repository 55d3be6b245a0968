import { describe, expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { FAULTS, type FaultOutcome, stalls } from '../../support/clients/faults.ts';
import { RawClient, type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  saysAndCloses,
  saysAndResets,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const REQUEST_TIMEOUT_MS = 3_000;
const UPSTREAM_TIMEOUT_MS = 10_000;

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

function pathOn(port: Port, path = '/up/x'): string {
  return port === 'external' ? path : `/internal${path}`;
}

/** A gateway in front of one service that behaves like this. */
async function startBehind(behaviour: RawBehaviour) {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const upstream = stack.use(await startRawUpstream(behaviour));
  const test = stack.use(await startGateway({ services: { '/up': [upstream] }, clock }));
  return { upstream, test, clock, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function expectOutcome(answer: RawResponse, outcome: FaultOutcome): Promise<void> {
  if (outcome === 'whole') {
    expect(answer).toMatchObject({ status: 200, body: 'ok', whole: true, rest: '' });
  } else if (outcome === 'cut') {
    expect(answer).toMatchObject({ status: 200, whole: false });
  } else {
    await expectProblem(answer, outcome);
    // Nothing of the head that was refused is left in the reply.
    expect(answer.field('Set-Cookie')).toBeUndefined();
    expect(answer).toMatchObject({ whole: true, rest: '' });
  }
}

async function expectCharged(test: TestGateway, failures: number): Promise<void> {
  expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(failures);
}

// Jest itself fails a test in which an exception or a rejection was caught by nobody.
describe.each(PORTS)('on the %s port, a service that', (port) => {
  it.each(FAULTS)('%s', async (_what, behaviour, outcome) => {
    await using world = await startBehind(behaviour);
    const { test } = world;
    await expectOutcome(await sendRaw(test[port], request(`GET ${pathOn(port)}`, authorization)), outcome);
    await expectNothingHeld(test);
    await expectCharged(test, outcome === 'whole' ? 0 : 1);
    expect(test.logLines().filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('refuses connections', async () => {
    await using test = await startGateway({ services: { '/up': [refusedUrl()] } });
    const answer = await sendRaw(test[port], request(`GET ${pathOn(port)}`, authorization));
    await expectOutcome(answer, 'upstream_unreachable');
    await expectCharged(test, 1);
  });

  it('hangs is left at the deadline', async () => {
    await using world = await startBehind(hangs);
    const { test, upstream, clock } = world;
    const answer = sendRaw(test[port], request(`GET ${pathOn(port)}`, authorization));
    await eventually('the service has the request', () => upstream.requests.length === 1);
    clock.advance(REQUEST_TIMEOUT_MS - 1);
    expect(upstream.open).toBe(1);
    clock.advance(1);
    await expectProblem(await answer, 'request_timeout');
    await eventually('the service has lost its connection', () => upstream.open === 0);
    await expectNothingHeld(test);
    await expectCharged(test, 1);
  });

  it('falls silent within its response is cut off', async () => {
    await using world = await startBehind(stalls);
    const { test, upstream, clock } = world;
    using client = await RawClient.to(test[port]);
    client.send(request(`GET ${pathOn(port)}`, authorization));
    await eventually('the answer has begun', () => client.received.includes('begun'));
    clock.advance(UPSTREAM_TIMEOUT_MS);
    expect((await client.answer()).whole).toBe(false);
    await eventually('the service has lost its connection', () => upstream.open === 0);
    await expectNothingHeld(test);
    await expectCharged(test, 1);
  });

  it('breaks off a response to HTTP/1.0 is not taken to have ended it', async () => {
    await using world = await startBehind(
      saysAndCloses('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n'),
    );
    using client = await RawClient.to(world.test[port]);
    client.send(`GET ${pathOn(port)} HTTP/1.0\r\n${authorization}\r\n\r\n`);
    expect(await client.closed()).toBe('reset');
  });

  it('sends content after its response to HEAD poisons no other response', async () => {
    const behaviour: RawBehaviour = (socket, head) =>
      void socket.write(
        head.startsWith('HEAD')
          ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      );
    await using world = await startBehind(behaviour);
    const { test } = world;
    const head = await sendRaw(test[port], request(`HEAD ${pathOn(port)}`, authorization));
    expect(head).toMatchObject({ status: 200, rest: '' });
    const answer = await sendRaw(test[port], request(`GET ${pathOn(port)}`, authorization));
    if (answer.status === 200) await expectOutcome(answer, 'whole');
    else await expectOutcome(answer, 'upstream_bad_response');
  });
});

describe('a service that closes connections it promised to keep', () => {
  const closing = {
    'in good order': saysAndCloses('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    'with a reset': saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  };

  it.each(Object.entries(closing))('%s gets every request on a new one', async (_how, behaviour) => {
    await using world = await startBehind(behaviour);
    const { test, upstream } = world;
    for (let sent = 1; sent <= 5; sent += 1) {
      expect((await call(`${test.internal}/internal/up/x`, { method: 'POST', body: 'x' })).status).toBe(200);
      await eventually('the connection is closed', () => upstream.open === 0);
    }
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 2, 3, 4, 5]);
    await expectCharged(test, 0);
  });
});

describe.each(PORTS)('a request on the %s port', (port) => {
  async function startEcho(): Promise<{ upstream: Upstream; test: TestGateway } & AsyncDisposable> {
    const stack = new AsyncDisposableStack();
    const upstream = stack.use(await startUpstream());
    const test = stack.use(await startGateway({ services: { '/up': [upstream] } }));
    return { upstream, test, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  it('that announces trailers and has no chunks is served', async () => {
    await using world = await startEcho();
    const { test, upstream } = world;
    const head = request(`POST ${pathOn(port)}`, authorization, 'Trailer: X-Sum', 'Content-Length: 2');
    expect(await sendRaw(test[port], `${head}hi`)).toMatchObject({ status: 200, body: 'ok' });
    const bare = request(`GET ${pathOn(port)}`, authorization, 'Trailer: X-Sum');
    expect(await sendRaw(test[port], bare)).toMatchObject({ status: 200, body: 'ok' });
    expect(upstream.requests.flatMap(({ fields }) => fields)).not.toContain('Trailer');
    expect(upstream.requests[0]?.body.toString()).toBe('hi');
  });

  it('that has more content than its length gives the service no more than it announced', async () => {
    await using world = await startEcho();
    const { test, upstream } = world;
    using client = await RawClient.to(test[port]);
    const head = request(
      `POST ${pathOn(port)}`,
      authorization,
      'Content-Length: 2',
      'Connection: keep-alive',
    );
    client.send(`${head}hi!!\r\n\r\n`);
    await client.closed();
    await expectNothingHeld(test);
    // What is behind it is no request: its own answer may be lost with the connection, and is never another's.
    expect(client.received.match(/HTTP\/1\.1/g) ?? []).not.toHaveLength(2);
    for (const { body } of upstream.requests) expect(['', 'hi']).toContain(body.toString());
    await expectCharged(test, 0);
  });

  it('that has less content than its length reaches no handler as a whole one', async () => {
    await using world = await startEcho();
    const { test, upstream } = world;
    using client = await RawClient.to(test[port]);
    client.send(`${request(`POST ${pathOn(port)}`, authorization, 'Content-Length: 10')}hi`);
    await underWay(test, 1);
    client.socket.end();
    await client.closed();
    await expectNothingHeld(test);
    await eventually('the service has lost its connection', () => upstream.open === 0);
    expect(upstream.requests.filter(({ body }) => body.length > 0)).toEqual([]);
    await expectCharged(test, 0);
  });
});

it('a real gateway process outlives every one of these faults', async () => {
  await using stack = new AsyncDisposableStack();
  const upstreams = await Promise.all(FAULTS.map(([, behaviour]) => startRawUpstream(behaviour)));
  for (const upstream of upstreams) stack.use(upstream);
  const services = Object.fromEntries(upstreams.map((upstream, n) => [`/up${n}`, [upstream]]));
  const gateway = stack.use(await startGatewayProcess({ services }));
  const statuses = await Promise.all(
    FAULTS.map(([what], n) =>
      sendRaw(gateway.internal, request(`GET /internal/up${n}/x`)).then(({ status }) => [what, status]),
    ),
  );
  expect(statuses).toEqual(
    FAULTS.map(([what, , outcome]) => [what, outcome === 'cut' || outcome === 'whole' ? 200 : 502]),
  );
  // Stopping fails unless the process still lives and drains.
}, 30_000);
