import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestService,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const REQUEST_TIMEOUT_MS = 3_000;
const UPSTREAM_TIMEOUT_MS = 10_000;
const SEND_TIMEOUT_MS = 60_000;
const PORTS = ['external', 'internal'] as const;
const token = tokenFor('ann');

const pathOn = (port: 'external' | 'internal') =>
  port === 'external' ? '/budgeting/x' : '/internal/budgeting/x';

async function start(
  service: TestService,
  env: Record<string, string> = {},
): Promise<{ gateway: TestGateway; clock: ManualClock }> {
  const clock = new ManualClock();
  return { gateway: await startGateway({ services: { '/budgeting': service }, env, clock }), clock };
}

const inFlight = (gateway: TestGateway, count = 1) =>
  eventually(
    `${count} in flight`,
    async () => (await gateway.metric('gateway_lb_instance_in_flight')) === count,
  );

describe.each(PORTS)('REQUEST_TIMEOUT on the %s port', (port) => {
  const ask = (gateway: TestGateway, headers: Record<string, string> = {}) =>
    fetch(gateway[port] + pathOn(port), { headers: { ...bearer(token), ...headers } });

  it('cuts the call of a service that does not answer, and blames it', async () => {
    await using upstream = await startRawUpstream(hangs);
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    const answer = ask(gateway);
    await eventually('it is asked', () => upstream.requests.length === 1);
    clock.advance(REQUEST_TIMEOUT_MS - 1);
    expect(upstream.open).toBe(1);
    clock.advance(1);
    await expectProblem(await answer, 'request_timeout');
    await eventually('the service sees its caller leave', () => upstream.open === 0);
    expect(await gateway.metric('gateway_request_timeouts_total', { port })).toBe(1);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(1);
    await inFlight(gateway, 0);
  });

  it('ends with the head of the response: the content may take longer', async () => {
    let answering: ServerResponse | undefined;
    await using upstream = await startUpstream((_req, res) => {
      answering = res;
      res.write('begun, ');
    });
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    const answer = await ask(gateway);
    clock.advance(REQUEST_TIMEOUT_MS * 2);
    answering?.end('done');
    expect(await answer.text()).toBe('begun, done');
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });

  it('is set per service with requestTimeout', async () => {
    await using upstream = await startRawUpstream(hangs);
    const { gateway, clock } = await start({ upstreams: [upstream], requestTimeout: '200ms' });
    await using _ = gateway;
    const answer = ask(gateway);
    await inFlight(gateway);
    clock.advance(200);
    await expectProblem(await answer, 'request_timeout');
  });

  it('tells the service what is left of it', async () => {
    await using upstream = await startUpstream();
    const { gateway } = await start([upstream]);
    await using _ = gateway;
    await ask(gateway);
    expect(fieldValue(upstream.requests[0]?.fields ?? [], 'x-request-timeout-ms')).toBe('3000');
  });

  it('does not cut a slow upload that flows', async () => {
    let arrived = '';
    const reads: RequestListener = (req, res) => {
      req.on('data', (chunk) => {
        arrived += chunk;
      });
      req.on('end', () => res.end('ok'));
    };
    await using upstream = await startUpstream(reads, { readsBody: false });
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    using client = await RawClient.to(gateway[port]);
    client.send(request(`POST ${pathOn(port)}`, `Authorization: Bearer ${token}`, 'Content-Length: 15360'));
    await inFlight(gateway);
    // MIN_UPLOAD_RATE: 1 KiB a second.
    for (let sentBytes = 3072; sentBytes <= 15_360; sentBytes += 3072) {
      clock.advance(REQUEST_TIMEOUT_MS - 1);
      client.send('x'.repeat(3072));
      await eventually('the bytes at the service', () => arrived.length === sentBytes);
    }
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
  });

  it('cuts an upload that drips, and gives its permit back', async () => {
    let arrivedBytes = 0;
    const reads: RequestListener = (req) =>
      void req.on('data', ({ length }) => {
        arrivedBytes += length;
      });
    await using upstream = await startUpstream(reads, { readsBody: false });
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    using client = await RawClient.to(gateway[port]);
    client.send(request(`POST ${pathOn(port)}`, `Authorization: Bearer ${token}`, 'Content-Length: 5000'));
    await inFlight(gateway);
    for (let sentBytes = 1; client.received === '' && sentBytes < 10; sentBytes += 1) {
      client.send('x');
      await eventually('the byte, or the end', () => arrivedBytes === sentBytes || client.received !== '');
      clock.advance(REQUEST_TIMEOUT_MS);
    }
    await expectProblem(await client.answer(), 'upload_stalled');
    expect(arrivedBytes).toBeLessThan(5);
    await inFlight(gateway, 0);
    expect(await client.closed()).toBe('ended');
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect(await gateway.metric('gateway_request_timeouts_total')).toBe(0);
    expect(await gateway.metric('gateway_requests_total', { status: '504' })).toBe(0);
  });

  it('cuts an upload that stalls, and does not blame the service', async () => {
    let arrived = '';
    const reads: RequestListener = (req) => {
      req.on('data', (chunk) => {
        arrived += chunk;
      });
    };
    await using upstream = await startUpstream(reads, { readsBody: false });
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    using client = await RawClient.to(gateway[port]);
    client.send(
      `${request(`POST ${pathOn(port)}`, `Authorization: Bearer ${token}`, 'Content-Length: 5')}slo`,
    );
    await eventually('the service has some of it', () => arrived === 'slo');
    await eventually('it is answered', () => {
      clock.advance(REQUEST_TIMEOUT_MS);
      return client.received !== '';
    });
    await expectProblem(await client.answer(), 'upload_stalled');
    expect(await client.closed()).toBe('ended');
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect(await gateway.metric('gateway_request_timeouts_total')).toBe(0);
    expect(await gateway.metric('gateway_requests_total', { status: '504' })).toBe(0);
  });

  it('leaves no timer behind', async () => {
    await using upstream = await startUpstream();
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    const before = clock.pending;
    for (let n = 0; n < 5; n += 1) await (await ask(gateway, { 'Cache-Control': 'no-store' })).text();
    await eventually('the timers are gone', () => {
      // One for each replica stays until it has looked once more.
      clock.advance(REQUEST_TIMEOUT_MS);
      return clock.pending === before;
    });
  });
});

describe('the deadline of a caller, X-Request-Timeout-Ms', () => {
  it.each([
    ['500', '500'],
    ['3000', '3000'],
    ['60000', '3000'],
    ['0', '1'],
    ['-1', '3000'],
    ['soon', '3000'],
    ['1e3', '3000'],
  ])('%s lets the service know of %s ms on the internal port', async (asked, told) => {
    await using upstream = await startUpstream();
    const { gateway } = await start([upstream]);
    await using _ = gateway;
    await fetch(gateway.internal + pathOn('internal'), { headers: { 'X-Request-Timeout-Ms': asked } });
    expect(fieldValue(upstream.requests[0]?.fields ?? [], 'x-request-timeout-ms')).toBe(told);
  });

  it('shortens the wait on the internal port', async () => {
    await using upstream = await startRawUpstream(hangs);
    const { gateway, clock } = await start([upstream]);
    await using _ = gateway;
    const answer = fetch(gateway.internal + pathOn('internal'), {
      headers: { 'X-Request-Timeout-Ms': '250' },
    });
    await inFlight(gateway);
    clock.advance(250);
    await expectProblem(await answer, 'request_timeout');
  });

  it('shortens the upload window on the internal port, too', async () => {
    let arrived = '';
    const reads: RequestListener = (req) =>
      void req.on('data', (chunk) => {
        arrived += chunk;
      });
    await using upstream = await startUpstream(reads, { readsBody: false });
    const { gateway, clock } = await start([upstream], { BODY_TIMEOUT: '1m' });
    await using _ = gateway;
    using client = await RawClient.to(gateway.internal);
    const fields = ['X-Request-Timeout-Ms: 250', 'Content-Length: 5'];
    client.send(`${request(`POST ${pathOn('internal')}`, ...fields)}slo`);
    await eventually('the service has some of it', () => arrived === 'slo');
    // Once for what has come since the head, once for the stall.
    clock.advance(250);
    clock.advance(250);
    await expectProblem(await client.answer(), 'upload_stalled');
  });

  it('means nothing on the external port', async () => {
    await using upstream = await startUpstream();
    const { gateway } = await start([upstream]);
    await using _ = gateway;
    await fetch(gateway.external + pathOn('external'), {
      headers: { ...bearer(token), 'X-Request-Timeout-Ms': '1' },
    });
    expect(fieldValue(upstream.requests[0]?.fields ?? [], 'x-request-timeout-ms')).toBe('3000');
  });
});

describe.each(PORTS)('UPSTREAM_TIMEOUT on the %s port', (port) => {
  /** A client that has the first bytes of an answer which its service goes on with by hand. */
  async function begin(fields: Record<string, string>, httpVersion = '1.1') {
    const stack = new AsyncDisposableStack();
    let answering: ServerResponse | undefined;
    const upstream = stack.use(
      await startUpstream((_req, res) => {
        answering = res;
        res.writeHead(200, fields).write('begun');
      }),
    );
    const { gateway, clock } = await start([upstream]);
    stack.use(gateway);
    const client = stack.use(await RawClient.to(gateway[port]));
    client.send(
      request(`GET ${pathOn(port)}`, `Authorization: Bearer ${token}`).replace(
        'HTTP/1.1',
        `HTTP/${httpVersion}`,
      ),
    );
    await eventually('it has begun', () => client.received.includes('begun'));
    return {
      gateway,
      clock,
      client,
      upstream,
      write: (text: string) => answering?.write(text),
      finish: (text: string) => answering?.end(text),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }

  it.each([
    ['chunked', {}],
    ['of a known length', { 'Content-Length': '10' }],
  ])('cuts a response that falls silent, %s', async (_what, fields) => {
    await using world = await begin(fields);
    world.clock.advance(UPSTREAM_TIMEOUT_MS - 1);
    expect(world.client.ending).toBeUndefined();
    world.clock.advance(1);
    await world.client.closed();
    expect(await world.client.answer()).toMatchObject({ status: 200, body: 'begun', whole: false });
    await eventually('the service sees its caller leave', () => world.upstream.open === 0);
    expect(await world.gateway.metric('gateway_circuit_breaker_failures_total')).toBe(1);
    await inFlight(world.gateway, 0);
  });

  it('does not let a client of HTTP/1.0 take it for the whole', async () => {
    await using world = await begin({}, '1.0');
    world.clock.advance(UPSTREAM_TIMEOUT_MS);
    expect(await world.client.closed()).toBe('reset');
  });

  it('begins anew with every byte', async () => {
    await using world = await begin({});
    for (const text of [', goes', ' on', ' and']) {
      world.clock.advance(UPSTREAM_TIMEOUT_MS - 1);
      world.write(text);
      await eventually('it has arrived', () => world.client.received.includes(text));
    }
    world.finish(' ends');
    expect(await world.client.answer()).toMatchObject({ body: 'begun, goes on and ends', whole: true });
  });

  it('does not apply to event streams', async () => {
    await using world = await begin({ 'Content-Type': 'text/event-stream; charset=utf-8' });
    world.clock.advance(UPSTREAM_TIMEOUT_MS * 100);
    world.write('data: late\n\n');
    await eventually('the event', () => world.client.received.includes('data: late'));
    world.finish('');
    expect(await world.client.answer()).toMatchObject({ whole: true });
  });

  it('logs why the response was cut', async () => {
    await using world = await begin({});
    world.clock.advance(UPSTREAM_TIMEOUT_MS);
    await world.client.closed();
    await eventually('the line', () =>
      world.gateway.logLines().some(({ code, status }) => status === 200 && code === 'upstream_bad_response'),
    );
  });
});

/** A service with an answer of 30 MB, which tells how much of it is on its way. */
async function startLarge() {
  const piece = Buffer.alloc(2 ** 16, 'x');
  const total = 480 * piece.length;
  let sentBytes = 0;
  const upstream = await startUpstream(async (_req, res) => {
    while (sentBytes < total && !res.destroyed) {
      sentBytes += piece.length;
      if (!res.write(piece)) await once(res, 'drain').catch(() => {});
    }
    res.end();
  });
  return Object.assign(upstream, {
    total,
    /** Waits until it cannot send any more, because nobody reads. */
    async blocked(): Promise<void> {
      let quietPolls = 0;
      let seenBytes = 0;
      await eventually('nothing moves any more', () => {
        quietPolls = sentBytes === seenBytes && sentBytes > 0 ? quietPolls + 1 : 0;
        seenBytes = sentBytes;
        return quietPolls === 20;
      });
      expect(sentBytes).toBeLessThan(total);
    },
  });
}

it('waits for a slow reader as long as SEND_TIMEOUT lets it', async () => {
  await using upstream = await startLarge();
  const { gateway, clock } = await start([upstream]);
  await using _ = gateway;
  using client = await RawClient.to(gateway.internal);
  client.socket.once('data', () => client.socket.pause());
  client.send(request('GET /internal/budgeting/x'));
  await upstream.blocked();
  clock.advance(SEND_TIMEOUT_MS - 1);
  client.socket.resume();
  await client.closed();
  expect(client.received.endsWith('\r\n0\r\n\r\n')).toBe(true);
  expect(client.received.length).toBeGreaterThan(upstream.total);
});

it('cuts a client off that does not read its response, and blames nobody', async () => {
  await using upstream = await startLarge();
  const { gateway, clock } = await start([upstream]);
  await using _ = gateway;
  using client = await RawClient.to(gateway.external);
  client.socket.once('data', () => client.socket.pause());
  client.send(request('GET /budgeting/x', `Authorization: Bearer ${token}`));
  await upstream.blocked();
  clock.advance(SEND_TIMEOUT_MS);
  await expectNothingHeld(gateway);
  expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  const line = await eventually('its line', () =>
    gateway.logLines().find(({ code }) => code === 'client_stalled'),
  );
  expect(line).toMatchObject({ service: '/budgeting' });
});
