import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { refusedUrl, startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { composedAgain } from './composedAgain.ts';
import { proUser, RATED_RULES } from './ratedRules.ts';

const ann = proUser('ann');
const LARGE = Buffer.alloc(8 * 2 ** 20, 'large ');

const statusOf = async (origin: string, path: string, headers: Record<string, string> = ann) =>
  (await call(`${origin}${path}`, { headers })).status;

async function statusesOf({ external }: Pick<TestGateway, 'external'>, paths: readonly string[]) {
  const statuses = [];
  for (const path of paths) statuses.push(await statusOf(external, path));
  return statuses;
}

/** The status of a handshake and what it says is left, and the socket where it has opened. */
async function openSocket({ external }: TestGateway, path: string) {
  const socket = new WebSocket(`${external.replace('http', 'ws')}${path}`, { headers: ann });
  socket.on('error', () => {});
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
  socket.on('upgrade', resolve);
  socket.on('unexpected-response', (_req, response) => resolve(response));
  const { statusCode: status, headers } = await promise;
  if (status !== 101) socket.terminate();
  return { socket, status, left: headers.ratelimit };
}

describe.each(RATED_RULES)('a rate $rule', ({ per, rate }) => {
  const limits = (limit: string) => ({ rate: rate(limit) });

  it.each(['defaults', 'service', 'route'] as const)('said by %s counts on a route', async (level) => {
    await using shop = await startUpstream();
    const at = (each: typeof level) => (each === level ? { limits: limits('2/1h') } : {});
    await using gateway = await startGateway({
      defaults: at('defaults'),
      services: {
        '/shop': {
          upstreams: [shop],
          ...at('service'),
          routes: [{ match: { path: '/a/**' }, ...at('route') }],
        },
      },
    });
    expect(await statusesOf(gateway, ['/shop/a/1', '/shop/a/2'])).toEqual([200, 200]);
    const refused = await fetch(`${gateway.external}/shop/a/3`, { headers: ann });
    expect(refused.headers.get('RateLimit-Policy')).toBe(`"${level}-${per}";q=2;w=3600`);
    await expectProblem(refused, 'rate_limited', { retryAfter: Number(refused.headers.get('Retry-After')) });
    const labels = { policy: `${level}-${per}`, service: '/shop', route: '/shop/a/**' };
    expect(await gateway.metric('gateway_rate_limited_total', labels)).toBe(1);
    expect(shop.requests).toHaveLength(2);
  });

  it('is not loosened further in, and is tightened there for one route alone', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      defaults: { limits: limits('9/1h') },
      services: {
        '/shop': {
          upstreams: [shop],
          limits: limits('4/1h'),
          routes: [
            { match: { path: '/more/**' }, limits: limits('100/1h') },
            { match: { path: '/less/**' }, limits: limits('1/1h') },
          ],
        },
      },
    });
    expect(await statusesOf(gateway, ['/shop/less/1', '/shop/less/2'])).toEqual([200, 429]);
    const rest = ['/shop/more/1', '/shop/more/2', '/shop/more/3', '/shop/more/4'];
    const whole = await statusesOf(gateway, rest);
    // A service's rate per route counts each route by itself.
    expect(whole).toEqual(per === 'route' ? [200, 200, 200, 200] : [200, 200, 200, 429]);
    expect(await statusOf(gateway.external, '/shop/more/5')).toBe(429);
  });

  it('counts what the cache answers', async () => {
    await using shop = await startUpstream((_req, res) => {
      res.setHeader('Cache-Control', 'max-age=60').end('ok');
    });
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], limits: limits('3/1h') } },
    });
    expect(await statusesOf(gateway, Array(4).fill('/shop/tea'))).toEqual([200, 200, 200, 429]);
    expect(shop.requests).toHaveLength(1);
  });

  it('counts no request that gets no permit, but per address, and holds none for one it refuses', async () => {
    const held: ServerResponse[] = [];
    let isHeld = true;
    await using shop = await startUpstream((_req, res) => void (isHeld ? held.push(res) : res.end('ok')));
    await using gateway = await startGateway({
      services: {
        '/shop': { upstreams: [shop], cacheTtl: 'off', limits: { ...limits('3/1h'), concurrency: 1 } },
      },
    });
    const first = call(`${gateway.external}/shop/1`, { headers: ann });
    await eventually('it holds the permit', () => held.length === 1);
    await expectProblem(await fetch(`${gateway.external}/shop/2`, { headers: ann }), 'service_busy', {
      retryAfter: 1,
    });
    isHeld = false;
    held[0]?.end('ok');
    expect((await first).status).toBe(200);
    const rest = await statusesOf(gateway, ['/shop/3', '/shop/4', '/shop/5']);
    expect(rest).toEqual(per === 'address' ? [200, 429, 429] : [200, 200, 429]);
    await expectNothingHeld(gateway);
    // The refused ones have given their permit back: it is the rate that refuses this one.
    const refused = await fetch(`${gateway.external}/shop/6`, { headers: ann });
    expect(await refused.json()).toMatchObject({ code: 'rate_limited' });
  });

  it('counts a request once that is tried at a second replica', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': { upstreams: [{ url: refusedUrl() }, shop], cacheTtl: 'off', limits: limits('4/1h') },
      },
    });
    const paths = ['/shop/1', '/shop/2', '/shop/3', '/shop/4', '/shop/5'];
    expect(await statusesOf(gateway, paths)).toEqual([200, 200, 200, 200, 429]);
    expect(await gateway.metric('gateway_failovers_total')).toBeGreaterThan(0);
  });

  it('counts a hedged request once', async () => {
    const held: ServerResponse[] = [];
    let isHeld = false;
    const replica = () => startUpstream((_req, res) => void (isHeld ? held.push(res) : res.end('ok')));
    await using one = await replica();
    await using other = await replica();
    const clock = new ManualClock();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [one, other], cacheTtl: 'off', limits: limits('6/1h') } },
      clock,
    });
    // Both have answered at once so far.
    expect(await statusesOf(gateway, ['/shop/1', '/shop/2', '/shop/3', '/shop/4'])).toEqual([
      200, 200, 200, 200,
    ]);
    await expectNothingHeld(gateway);
    clock.advance(1);
    isHeld = true;
    const hedged = call(`${gateway.external}/shop/5`, { headers: ann });
    await eventually('one has it', () => held.length === 1);
    // Half of REQUEST_TIMEOUT.
    clock.advance(1_500);
    await eventually('the other has it, too', () => held.length === 2);
    isHeld = false;
    held[1]?.end('ok');
    const { status, headers } = await hedged;
    expect([status, headers.ratelimit]).toEqual([200, expect.stringMatching(/;r=1;/)]);
    expect(await gateway.metric('gateway_hedges_won_total')).toBe(1);
    held[0]?.end();
    expect(await statusesOf(gateway, ['/shop/6', '/shop/7'])).toEqual([200, 429]);
  });

  it('counts an event stream once, and ends none that has begun', async () => {
    let events: ServerResponse | undefined;
    await using shop = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 0\n\n');
      events = res;
    });
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], limits: limits('1/1h') } },
    });
    const stream = await answerTo(open(`${gateway.external}/shop/events`, { headers: ann }).end());
    stream.setEncoding('utf8');
    expect([stream.statusCode, stream.headers.ratelimit]).toEqual([200, expect.stringMatching(/;r=0;/)]);
    expect(String((await once(stream, 'data'))[0])).toBe('data: 0\n\n');
    expect(await statusOf(gateway.external, '/shop/events')).toBe(429);
    for (let n = 1; n < 20; n += 1) {
      events?.write(`data: ${n}\n\n`);
      expect(String((await once(stream, 'data'))[0])).toBe(`data: ${n}\n\n`);
    }
    stream.destroy();
  });

  it('counts large content once, and answers a refused upload', async () => {
    await using shop = await startUpstream((_req, res) => void res.end(LARGE));
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], limits: limits('1/1h') } },
      env: { MAX_BODY_BYTES: '16MiB' },
    });
    const upload = () => call(`${gateway.external}/shop/x`, { method: 'PUT', headers: ann, body: LARGE });
    const first = await upload();
    expect([first.status, first.body.equals(LARGE), shop.requests[0]?.body.equals(LARGE)]).toEqual([
      200,
      true,
      true,
    ]);
    const refused = await upload();
    expect([refused.status, JSON.parse(refused.body.toString())]).toEqual([
      429,
      expect.objectContaining({ code: 'rate_limited' }),
    ]);
    expect(shop.requests).toHaveLength(1);
  });

  it('counts a WebSocket by its handshake, and ends none that is open', async () => {
    await using sockets = await startSocketService();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [sockets], limits: limits('1/1h') } },
    });
    const { socket, status, left } = await openSocket(gateway, '/shop/hub');
    expect([status, left]).toEqual([101, expect.stringMatching(/;r=0;/)]);
    expect(await openSocket(gateway, '/shop/hub')).toMatchObject({ status: 429 });
    for (let n = 0; n < 20; n += 1) {
      socket.send(String(n));
      expect(String((await once(socket, 'message'))[0])).toBe(String(n));
    }
    socket.terminate();
    expect(sockets.handshakes).toHaveLength(1);
  });

  it('goes on counting where its chain is composed anew', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [shop],
          limits: limits('4/1h'),
          routes: [{ match: { path: '/a' }, limits: limits('2/1h') }],
        },
      },
    });
    await using again = await composedAgain(gateway);
    expect([
      await statusOf(gateway.external, '/shop/a'),
      await statusOf(again.external, '/shop/a'),
      await statusOf(again.external, '/shop/a'),
      await statusOf(gateway.external, '/shop/a'),
    ]).toEqual([200, 200, 429, 429]);
    const others = await statusesOf(again, ['/shop/1', '/shop/2', '/shop/3']);
    expect(others).toEqual(per === 'route' ? [200, 200, 200] : [200, 200, 429]);
  });
});
