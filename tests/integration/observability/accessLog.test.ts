import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { saysAndResets, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const headers = bearer(tokenFor('ann'));

/** The access lines of requests to a service, in order. */
const linesOf = (gateway: TestGateway) => gateway.logLines().filter(({ method }) => method !== undefined);

const lineFor = ({ logLines }: TestGateway, answer: Response) =>
  eventually('the access line', () =>
    logLines().find(({ requestId }) => requestId === answer.headers.get('X-Request-Id')),
  );

/** A gateway whose service answers when the test says so. */
async function startGated(env: Record<string, string> = {}, concurrency = 10) {
  const stack = new AsyncDisposableStack();
  const waiting: ServerResponse[] = [];
  const clock = new ManualClock();
  const upstream = stack.use(await startUpstream((_req, res) => void waiting.push(res)));
  const services = { '/budgeting': { upstreams: [upstream], concurrency } };
  const gateway = stack.use(await startGateway({ services, env, clock }));
  return { gateway, clock, waiting, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('the times of an access line', () => {
  it('tell the wait for the service from the whole', async () => {
    await using world = await startGated();
    const { gateway, clock, waiting } = world;
    const asked = fetch(`${gateway.external}/budgeting/x`, { headers });
    const res = await eventually('the request', () => waiting[0]);
    clock.advance(250);
    res.writeHead(200).flushHeaders();
    const answer = await asked;
    clock.advance(500);
    res.end();
    expect(await lineFor(gateway, answer)).toMatchObject({
      permitMs: 0,
      authMs: 0,
      cacheMs: 0,
      upstreamMs: 250,
      seconds: 0.75,
    });
  });

  it('tell the wait for a permit', async () => {
    await using world = await startGated({ CONCURRENCY_QUEUE: '1' }, 1);
    const { gateway, clock, waiting } = world;
    const first = fetch(`${gateway.external}/budgeting/1`, { headers });
    const held = await eventually('the first', () => waiting[0]);
    const second = fetch(`${gateway.external}/budgeting/2`, { headers });
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    await eventually('the second waits', () => requests?.waiting === 1);
    clock.advance(400);
    held.end();
    await first;
    (await eventually('the second', () => waiting[1])).end();
    expect(await lineFor(gateway, await second)).toMatchObject({ permitMs: 400, upstreamMs: 0 });
  });

  it('tell the wait of whoever is given what another has asked for', async () => {
    await using world = await startGated();
    const { gateway, clock, waiting } = world;
    const asked = [1, 2].map(() => fetch(`${gateway.external}/budgeting/x`, { headers }));
    const res = await eventually('one request', () => waiting[0]);
    await eventually('two permits', () => gateway.gateway.parts.services[0]?.limits.requests.held === 2);
    // The second has come as far as the cache once its turn of the event loop is over.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(300);
    res.end('ok');
    const lines = await Promise.all((await Promise.all(asked)).map((answer) => lineFor(gateway, answer)));
    const byCache = Object.fromEntries(lines.map((line) => [String(line.cache), line]));
    expect(byCache.miss).toMatchObject({ cacheMs: 0, upstreamMs: 300 });
    expect(byCache.hit).toMatchObject({ cacheMs: 300 });
    expect(byCache.hit).not.toHaveProperty('upstreamMs');
  });

  it('leave out what the request had no part in', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const line = await lineFor(gateway, await fetch(`${gateway.internal}/internal/budgeting/x`));
    expect(line).toHaveProperty('upstreamMs');
    for (const name of ['permitMs', 'authMs', 'cacheMs']) expect(line).not.toHaveProperty(name);
    const refused = await lineFor(gateway, await fetch(`${gateway.external}/budgeting/x`));
    expect(refused).toHaveProperty('authMs');
    expect(refused).not.toHaveProperty('upstreamMs');
  });
});

describe('ACCESS_LOG_SAMPLE', () => {
  it('is the share of users whose requests leave a line; services all do', async () => {
    await using upstream = await startUpstream();
    let drawn = 0.5;
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { ACCESS_LOG_SAMPLE: '0.25', GET_CACHE_TTL: 'off' },
      random: () => drawn,
    });
    for (const [before, draw] of [0.24, 0.26, 0.9].entries()) {
      drawn = draw;
      await fetch(`${gateway.external}/budgeting/${before + 1}`, { headers });
      await eventually(
        'it is over',
        async () => (await gateway.metric('gateway_requests_total')) === before + 1,
      );
    }
    for (const n of [4, 5]) await fetch(`${gateway.internal}/internal/budgeting/${n}`);
    await eventually('five were counted', async () => (await gateway.metric('gateway_requests_total')) === 5);
    await eventually('the last', () => linesOf(gateway).at(-1)?.message?.toString().includes('/5 '));
    expect(linesOf(gateway).map(({ message }) => String(message).split(' ')[1])).toEqual([
      '/budgeting/1',
      '/internal/budgeting/4',
      '/internal/budgeting/5',
    ]);
  });

  it('of 0 still leaves the lines of what failed, was cut or was slow', async () => {
    await using bad = await startUpstream((_req, res) => void res.writeHead(500).end());
    await using cut = await startRawUpstream(
      saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun'),
    );
    await using world = await startGated({ ACCESS_LOG_SAMPLE: '0', ACCESS_LOG_SLOW: '500ms' });
    const { gateway: slow, clock, waiting } = world;
    await using gateway = await startGateway({
      services: { '/bad': [bad], '/cut': [cut], '/absent': ['http://127.0.0.1:1'] },
      env: { ACCESS_LOG_SAMPLE: '0' },
    });
    const authorization = `Authorization: ${headers.Authorization}`;
    for (const path of ['/bad', '/cut', '/absent'])
      await sendRaw(gateway.external, request(`GET ${path}/x`, authorization));
    // Refused, and so no failure: nobody is to be flooded with lines by a client without a token.
    await sendRaw(gateway.external, request('GET /bad/x'));
    await eventually('four were counted', async () => (await gateway.metric('gateway_requests_total')) === 4);
    await eventually('three lines', () => linesOf(gateway).length >= 3);
    expect(linesOf(gateway).map(({ service }) => service)).toEqual(['/bad', '/cut', '/absent']);

    for (const [n, ms] of [499, 500].entries()) {
      const asked = fetch(`${slow.external}/budgeting/${ms}`, { headers });
      const res = await eventually('the request', () => waiting[n]);
      clock.advance(ms);
      res.end();
      await (await asked).text();
    }
    await eventually('a line', () => linesOf(slow).length > 0);
    expect(linesOf(slow).map(({ seconds }) => seconds)).toEqual([0.5]);
  });
});
