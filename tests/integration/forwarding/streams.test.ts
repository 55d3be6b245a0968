import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly service: Upstream;
  /** Responses that have begun and not ended. */
  readonly running: readonly ServerResponse[];
  /** The head of a response that goes on: `/events`, `/download`. */
  begin(path: string, user?: string): Promise<IncomingMessage>;
  requestsHeld(): Promise<number>;
  streamsOpen(): Promise<number>;
}

async function startWorld(env: Record<string, string> = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const running: ServerResponse[] = [];
  const service = stack.use(
    await startUpstream((req, res) => {
      if (req.url === '/x') return void res.end('ok');
      running.push(res);
      const type = req.url === '/events' ? 'text/event-stream; charset=utf-8' : 'application/octet-stream';
      res.writeHead(200, { 'Content-Type': type }).write('a beginning\n\n');
    }),
  );
  const clock = new ManualClock();
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': [service] },
      env: { REQUEST_TIMEOUT: '60s', UPSTREAM_TIMEOUT: '10m', SEND_TIMEOUT: '0', ...env },
      clock,
    }),
  );
  const requests: { destroy(): void }[] = [];
  stack.defer(() => requests.forEach((req) => void req.destroy()));
  const tokens = new Map<string, string>();
  const labels = { service: '/budgeting' };
  return {
    gateway,
    clock,
    service,
    running,
    begin(path, user = 'ann') {
      if (!tokens.has(user)) tokens.set(user, tokenFor(user));
      const req = open(`${gateway.external}/budgeting${path}`, {
        headers: bearer(tokens.get(user) as string),
      }).end();
      requests.push(req);
      return answerTo(req);
    },
    requestsHeld: () => gateway.metric('gateway_concurrent_requests', labels),
    streamsOpen: () => gateway.metric('gateway_streams', labels),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function codeOf(answer: IncomingMessage): Promise<string> {
  const { body } = await readWhole(answer);
  return JSON.parse(body).code;
}

async function readWhole(answer: IncomingMessage): Promise<{ body: string }> {
  let body = '';
  for await (const chunk of answer) body += chunk;
  return { body };
}

async function askBriefly({ gateway }: World, user = 'bob'): Promise<number> {
  const { status } = await call(`${gateway.external}/budgeting/x`, { headers: bearer(tokenFor(user)) });
  return status;
}

describe('event streams', () => {
  it('leave the permits of a service to requests', async () => {
    await using world = await startWorld();
    for (let n = 0; n < 12; n += 1) expect((await world.begin('/events')).statusCode).toBe(200);
    expect(await world.requestsHeld()).toBe(0);
    expect(await world.streamsOpen()).toBe(12);
    for (let n = 0; n < 12; n += 1) expect(await askBriefly(world)).toBe(200);
  });

  it('are counted until they end, and until their client leaves', async () => {
    await using world = await startWorld();
    const first = await world.begin('/events');
    const second = await world.begin('/events');
    expect(await world.streamsOpen()).toBe(2);
    world.running[0]?.end();
    await readWhole(first);
    await eventually('one is open', async () => (await world.streamsOpen()) === 1);
    second.destroy();
    await eventually('none is open', async () => (await world.streamsOpen()) === 0);
    expect(await world.requestsHeld()).toBe(0);
  });

  const full: { setting: string; env: Record<string, string> }[] = [
    { setting: 'MAX_STREAMS', env: { MAX_STREAMS: '2', FAIR_SHARE: '1' } },
    { setting: 'SERVICE_STREAMS', env: { SERVICE_STREAMS: '2', FAIR_SHARE: '1' } },
  ];
  it.each(full)('are refused past $setting, which is no failure of the replica', async ({ env }) => {
    await using world = await startWorld(env);
    for (let n = 0; n < 2; n += 1) expect((await world.begin('/events')).statusCode).toBe(200);
    for (let n = 0; n < 4; n += 1) {
      const refused = await world.begin('/events');
      expect(refused.statusCode).toBe(429);
      expect(refused.headers['retry-after']).toBe('1');
      expect(await codeOf(refused)).toBe('streams_busy');
    }
    expect(await world.gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    await eventually('no permit is held', async () => (await world.requestsHeld()) === 0);
    await eventually('those that were refused are given up', () => world.service.open <= 3);
    expect(await askBriefly(world)).toBe(200);
    world.running[0]?.end();
    await eventually('one is open', async () => (await world.streamsOpen()) === 1);
    expect((await world.begin('/events')).statusCode).toBe(200);
  });

  it('of one user who is alone leave room for whoever comes next', async () => {
    await using world = await startWorld({ SERVICE_STREAMS: '5' });
    for (let n = 0; n < 4; n += 1) expect((await world.begin('/events', 'greedy')).statusCode).toBe(200);
    const refused = await world.begin('/events', 'greedy');
    expect(refused.statusCode).toBe(429);
    expect(await codeOf(refused)).toBe('fair_share_used');
    expect((await world.begin('/events', 'other')).statusCode).toBe(200);
  });

  it('of one user leave room for those of another', async () => {
    await using world = await startWorld({ SERVICE_STREAMS: '5' });
    expect((await world.begin('/events', 'other')).statusCode).toBe(200);
    for (let n = 0; n < 4; n += 1) expect((await world.begin('/events', 'greedy')).statusCode).toBe(200);
    world.running[0]?.end();
    await eventually('four are open', async () => (await world.streamsOpen()) === 4);
    expect(await codeOf(await world.begin('/events', 'greedy'))).toBe('fair_share_used');
    expect((await world.begin('/events', 'other')).statusCode).toBe(200);
  });

  it('pass through the cache as streams, too', async () => {
    await using world = await startWorld({ GET_CACHE_TTL: '30s' });
    await world.begin('/events');
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([0, 1]);
  });
});

describe('a response that runs for long', () => {
  it('counts as a request for STREAM_AFTER, and as a stream from then on', async () => {
    await using world = await startWorld();
    await world.begin('/download');
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([1, 0]);
    world.clock.advance(9_999);
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([1, 0]);
    world.clock.advance(1);
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([0, 1]);
    world.running[0]?.end();
    await eventually('none is open', async () => (await world.streamsOpen()) === 0);
  });

  it('goes on as a request while there is no room, and becomes a stream when there is', async () => {
    await using world = await startWorld({ SERVICE_STREAMS: '1', FAIR_SHARE: '1' });
    const events = await world.begin('/events');
    const download = await world.begin('/download');
    world.clock.advance(10_000);
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([1, 1]);
    expect(await world.gateway.metric('gateway_concurrency_limit_reached_total')).toBe(0);
    world.running[0]?.end();
    await readWhole(events);
    await eventually('none is open', async () => (await world.streamsOpen()) === 0);
    world.clock.advance(10_000);
    expect([await world.requestsHeld(), await world.streamsOpen()]).toEqual([0, 1]);
    world.running[1]?.end('the end');
    expect((await readWhole(download)).body).toContain('the end');
  });

  it('is none before it has begun', async () => {
    const stack = new AsyncDisposableStack();
    await using _stack = stack;
    const service = stack.use(await startUpstream(() => {}));
    const clock = new ManualClock();
    const env = { REQUEST_TIMEOUT: '60s' };
    const gateway = stack.use(await startGateway({ services: { '/budgeting': [service] }, env, clock }));
    const req = open(`${gateway.external}/budgeting/x`, { method: 'POST', headers: bearer(tokenFor('ann')) });
    req.end();
    await eventually('it has arrived', () => service.requests.length === 1);
    clock.advance(20_000);
    expect(await gateway.metric('gateway_streams')).toBe(0);
    expect(await gateway.metric('gateway_concurrent_requests')).toBe(1);
    req.destroy();
    await eventually('it is gone', async () => (await gateway.metric('gateway_concurrent_requests')) === 0);
  });
});
