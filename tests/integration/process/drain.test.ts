import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import WebSocket, { WebSocketServer } from 'ws';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, STORES, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { expectNoMoreTimers, ManualClock } from '../../support/manualClock.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const DRAIN_TIMEOUT_MS = 2_000;
const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

/** A gateway whose service answers when the test says so. */
async function startGated(store: (typeof STORES)[number] = 'embedded') {
  const stack = new AsyncDisposableStack();
  const waiting: ServerResponse[] = [];
  const clock = new ManualClock();
  const upstream = stack.use(await startUpstream((_req, res) => void waiting.push(res)));
  const gateway = stack.use(await startGateway({ services: { '/budgeting': [upstream] }, store, clock }));
  return { gateway, clock, waiting, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe.each(STORES)('stopping with the %s store', (store) => {
  it('lets what is under way finish on both ports, and then resolves', async () => {
    await emptyTestRedis();
    await using world = await startGated(store);
    const { gateway, waiting } = world;
    const answers = [
      fetch(`${gateway.external}/budgeting/x`, { headers: bearer(tokenFor('ann')) }),
      fetch(`${gateway.internal}/internal/budgeting/x`),
    ];
    await eventually('both are there', () => waiting.length === 2);
    let stopped = false;
    const stopping = gateway.gateway.stop().then(() => {
      stopped = true;
    });
    for (const port of ['external', 'internal'] as const)
      await expect(fetch(`${gateway[port]}/healthz`)).rejects.toThrow();
    expect(stopped).toBe(false);
    for (const res of waiting) res.end('finished');
    for (const answer of await Promise.all(answers)) {
      expect(answer.status).toBe(200);
      expect(answer.headers.get('Connection')).toBe('close');
      expect(await answer.text()).toBe('finished');
    }
    await stopping;
    await eventually('the line', () => gateway.logLines().some(({ message }) => message === 'Drained'));
    expectNoMoreTimers(world.clock);
  });
});

describe('stopping', () => {
  it('is the same for a second call', async () => {
    await using world = await startGated();
    const first = world.gateway.gateway.stop();
    expect(world.gateway.gateway.stop()).toBe(first);
    await first;
    await world.gateway.gateway.stop();
  });

  it('ends at once when nothing is under way, whatever connections are open', async () => {
    await using world = await startGated();
    const { gateway } = world;
    using idle = await RawClient.to(gateway.external);
    idle.send(request('GET /healthz', 'Connection: keep-alive'));
    await idle.answer();
    using silent = await RawClient.to(gateway.external);
    using silentToo = await RawClient.to(gateway.internal);
    // Both are known to the gateway once it has answered somebody who came later.
    for (const port of ['external', 'internal'] as const)
      await (await fetch(`${gateway[port]}/healthz`)).text();
    await gateway.gateway.stop();
    for (const client of [idle, silent, silentToo]) await client.closed();
  });

  it('does not wait for the keep-alive of a response that began before', async () => {
    await using world = await startGated();
    const { gateway, waiting } = world;
    using client = await RawClient.to(gateway.internal);
    client.send(request('GET /internal/budgeting/x', 'Connection: keep-alive'));
    await eventually('it is there', () => waiting.length === 1);
    waiting[0]?.write('begun');
    await eventually('it has begun', () => client.received.includes('begun'));
    const stopping = gateway.gateway.stop();
    waiting[0]?.end();
    expect((await client.answer()).whole).toBe(true);
    const at = performance.now();
    await stopping;
    // Node keeps such a connection for 5 s: long enough to be told apart from at once.
    expect(performance.now() - at).toBeLessThan(3_000);
    await client.closed();
  });

  it('lets a request that was being sent finish', async () => {
    await using world = await startGated();
    const { gateway, waiting } = world;
    using client = await RawClient.to(gateway.internal);
    client.send(request('POST /internal/budgeting/x', 'Connection: keep-alive', 'Content-Length: 4'));
    await underWay(gateway, 1);
    const stopping = gateway.gateway.stop();
    client.send('done');
    await eventually('it is there', () => waiting.length === 1);
    waiting[0]?.end('ok');
    const answer = await client.answer();
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
    expect(answer.field('Connection')).toBe('close');
    await stopping;
  });

  it('answers 503 where no response has begun when DRAIN_TIMEOUT is over', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /budgeting/x', authorization));
    await underWay(gateway, 1);
    const stopping = gateway.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS - 1);
    expect(client.received).toBe('');
    clock.advance(1);
    await expectProblem(await client.answer(), 'draining');
    await stopping;
    await eventually('the service sees its caller leave', () => upstream.open === 0);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expectNoMoreTimers(clock);
  });

  it('cuts a response that has begun when DRAIN_TIMEOUT is over', async () => {
    await using world = await startGated();
    const { gateway, clock, waiting } = world;
    using client = await RawClient.to(gateway.internal);
    client.send(request('GET /internal/budgeting/x'));
    await eventually('it is there', () => waiting.length === 1);
    waiting[0]?.write('begun');
    await eventually('it has begun', () => client.received.includes('begun'));
    const stopping = gateway.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS);
    await stopping;
    await client.closed();
    expect(await client.answer()).toMatchObject({ status: 200, body: 'begun', whole: false });
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });

  it('answers those who wait for a permit too', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '5' },
      clock,
    });
    const clients = [await RawClient.to(gateway.external), await RawClient.to(gateway.external)];
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    for (const client of clients) client.send(request('GET /budgeting/x', authorization));
    await eventually('one waits', () => requests?.waiting === 1);
    await underWay(gateway, 1);
    const stopping = gateway.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS);
    for (const client of clients) await expectProblem(await client.answer(), 'draining');
    await stopping;
  });

  it('with DRAIN_TIMEOUT=0 cuts at once', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { DRAIN_TIMEOUT: '0' },
      clock,
    });
    using client = await RawClient.to(gateway.internal);
    client.send(request('GET /internal/budgeting/x'));
    await underWay(gateway, 1);
    const stopping = gateway.gateway.stop();
    clock.advance(0);
    await expectProblem(await client.answer(), 'draining');
    await stopping;
  });

  it('cuts WebSockets on both their sides', async () => {
    const clock = new ManualClock();
    await using upstream = await startUpstream();
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(sockets, 'listening');
    const { port } = sockets.address() as { port: number };
    await using gateway = await startGateway({
      services: { '/chat': [`http://127.0.0.1:${port}`], '/budgeting': [upstream] },
      clock,
    });
    const connected = once(sockets, 'connection');
    const client = new WebSocket(`${gateway.internal.replace('http', 'ws')}/internal/chat/x`);
    const clientClosed = once(client, 'close');
    await once(client, 'open');
    const [service] = (await connected) as [WebSocket];
    const serviceClosed = once(service, 'close');
    const stopping = gateway.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS);
    await Promise.all([clientClosed, serviceClosed, stopping]);
    sockets.close();
  });
});
