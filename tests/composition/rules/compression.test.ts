import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { fieldValue } from '../../../lib/http/fields.ts';
import { answerTo, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { composedAgain } from './composedAgain.ts';

const TYPE = { 'Content-Type': 'application/json' };
const TEXT = JSON.stringify(Array.from({ length: 3_000 }, (_, id) => ({ id, name: `item ${id}` })));
/** 8 MiB, of which every piece is another one. */
const LARGE = JSON.stringify(Array.from({ length: 250_000 }, (_, id) => ({ id, name: `item number ${id}` })));

type Service = TestGatewayOptions['services'][string] & object;

const start = (service: Service, more: Partial<TestGatewayOptions> = {}) =>
  startGateway({
    services: { '/shop': { auth: 'none', compress: 'on', ...service } as Service },
    ...more,
  });

const ask = (
  { external }: Pick<TestGateway, 'external'>,
  path: string,
  coding = 'br',
  headers: Record<string, string> = {},
) => call(`${external}${path}`, { headers: { 'Accept-Encoding': coding, ...headers } });

function decoded({ headers, body }: CallResponse): string {
  const coding = headers['content-encoding'];
  if (coding === undefined) return body.toString();
  const decode = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync }[coding];
  return String(decode?.(body));
}

const says =
  (text: string, fields: Record<string, string> = {}): RequestListener =>
  (_req, res) =>
    void res.writeHead(200, { ...TYPE, ...fields }).end(text);

describe('compress', () => {
  it.each(['defaults', 'service', 'route'] as const)('said by %s holds on a route', async (level) => {
    await using shop = await startUpstream(says(TEXT));
    const at = (each: typeof level) => (each === level ? { compress: 'on' as const } : {});
    await using gateway = await startGateway({
      defaults: { auth: 'none', ...at('defaults') },
      services: {
        '/shop': {
          upstreams: [shop],
          ...at('service'),
          routes: [
            { match: { path: '/a/**' }, ...at('route') },
            { match: { path: '/gzip/**' }, compress: { codings: ['gzip'] } },
            { match: { path: '/off/**' }, compress: 'off' },
          ],
        },
      },
    });
    const codings = [];
    for (const path of ['a', 'x', 'gzip', 'off', 'OFF']) {
      codings.push((await ask(gateway, `/shop/${path}/1`, 'br, gzip')).headers['content-encoding']);
    }
    expect(codings).toEqual(['br', level === 'route' ? undefined : 'br', 'gzip', undefined, undefined]);
  });

  it('gives permits and coders back, and a full service says so uncompressed', async () => {
    let held: ServerResponse | undefined;
    await using shop = await startUpstream((_req, res) => {
      res.writeHead(200, TYPE).write(TEXT.slice(0, 10_000));
      held = res;
    });
    await using gateway = await start({
      upstreams: [shop],
      cacheTtl: 'off',
      compress: { floor: 0 },
      limits: { concurrency: 1 },
    });
    const first = ask(gateway, '/shop/1');
    await eventually('it is coded', () => gateway.gateway.parts.coding.limit.held === 1);
    const refused = await ask(gateway, '/shop/2');
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    expect(JSON.parse(decoded(refused))).toMatchObject({ code: 'service_busy' });
    held?.end(TEXT.slice(10_000));
    expect(decoded(await first)).toBe(TEXT);
    await expectNothingHeld(gateway);
    expect(gateway.gateway.parts.coding.limit.held).toBe(0);
  });

  it('codes the response of whoever wins a hedged request, once', async () => {
    const held: ServerResponse[] = [];
    let isHeld = false;
    const respond = says(TEXT);
    const replica = () => startUpstream((req, res) => (isHeld ? void held.push(res) : respond(req, res)));
    await using one = await replica();
    await using other = await replica();
    const clock = new ManualClock();
    await using gateway = await start({ upstreams: [one, other], cacheTtl: 'off' }, { clock });
    for (let n = 0; n < 4; n += 1) expect(decoded(await ask(gateway, `/shop/${n}`))).toBe(TEXT);
    await expectNothingHeld(gateway);
    clock.advance(1);
    isHeld = true;
    const hedged = ask(gateway, '/shop/hedged');
    await eventually('one has it', () => held.length === 1);
    // Half of REQUEST_TIMEOUT.
    clock.advance(1_500);
    await eventually('the other has it, too', () => held.length === 2);
    held[1]?.writeHead(200, TYPE).end(TEXT);
    const response = await hedged;
    held[0]?.writeHead(200, TYPE).end('[]');
    expect([response.headers['content-encoding'], decoded(response)]).toEqual(['br', TEXT]);
    for (const { requests } of [one, other]) {
      const { fields } = requests.find(({ target }) => target === '/hedged') ?? { fields: [] };
      expect(fieldValue(fields, 'accept-encoding')).toBe('identity');
    }
    const coded = await gateway.metric('gateway_compression_bytes_in_total', { coding: 'br' });
    expect(coded).toBe(5 * TEXT.length);
  });

  it.each(['br', 'gzip', 'zstd'])('sends large content whole in %s, both ways', async (coding) => {
    await using shop = await startUpstream(says(LARGE));
    await using gateway = await start({ upstreams: [shop], limits: { body: '32MiB' } });
    const response = await call(`${gateway.external}/shop/x`, {
      method: 'PUT',
      headers: { 'Accept-Encoding': coding, 'Content-Encoding': 'x-own' },
      body: LARGE,
    });
    expect(response.headers['content-encoding']).toBe(coding);
    expect(decoded(response) === LARGE).toBe(true);
    // What clients send is theirs.
    expect(shop.requests[0]?.body.toString() === LARGE).toBe(true);
    expect(fieldValue(shop.requests[0]?.fields ?? [], 'content-encoding')).toBe('x-own');
  });

  it('lets what lasts count as a stream, and gives that back', async () => {
    let held: ServerResponse | undefined;
    await using shop = await startUpstream((_req, res) => {
      res.writeHead(200, TYPE).write('[1,');
      held = res;
    });
    const clock = new ManualClock();
    const service = { upstreams: [shop], cacheTtl: 'off' };
    await using gateway = await start(service, { clock, env: { STREAM_AFTER: '2s' } });
    const url = `${gateway.external}/shop/x`;
    const response = await answerTo(open(url, { headers: { 'Accept-Encoding': 'gzip' } }).end());
    await once(response, 'data');
    clock.advance(2_000);
    const streams = () => gateway.metric('gateway_streams');
    await eventually('it counts as a stream', async () => (await streams()) === 1);
    expect(await gateway.metric('gateway_concurrent_requests')).toBe(0);
    held?.end('2]');
    response.resume();
    await once(response, 'end');
    await eventually('it no longer counts', async () => (await streams()) === 0);
    expect(gateway.gateway.parts.coding.limit.held).toBe(0);
  });

  it('leaves WebSockets and what they send alone, and a handshake that is refused', async () => {
    await using sockets = await startSocketService();
    await using gateway = await start({
      upstreams: [sockets.url] as never,
      limits: { rate: { per: 'route', limit: '1/1h' } },
    });
    const url = `${gateway.external.replace('http', 'ws')}/shop/hub`;
    const headers = { 'Accept-Encoding': 'gzip' };
    const socket = new WebSocket(url, { headers, perMessageDeflate: true });
    await once(socket, 'open');
    socket.send(TEXT);
    expect(String((await once(socket, 'message'))[0]) === TEXT).toBe(true);
    const refused = new WebSocket(url, { headers });
    expect(String((await once(refused, 'error'))[0])).toContain('429');
    expect(sockets.handshakes[0]?.headers['accept-encoding']).toBe('gzip');
    socket.terminate();
  });

  it('counts a response once for a rate, in whatever coding it is given', async () => {
    await using shop = await startUpstream(
      says(TEXT, { ETag: '"v1"', 'Cache-Control': 'public, max-age=60' }),
    );
    await using gateway = await start({
      upstreams: [shop],
      limits: { rate: { per: 'service', limit: '4/1h' } },
    });
    const seen = [];
    for (const coding of ['br', 'gzip', 'br', 'identity', 'br']) {
      const { status, headers } = await ask(gateway, '/shop/x', coding);
      seen.push([status, headers['content-encoding'], /r=\d/.exec(String(headers.ratelimit))?.[0]]);
    }
    expect(seen).toEqual([
      [200, 'br', 'r=3'],
      [200, 'gzip', 'r=2'],
      [200, 'br', 'r=1'],
      [200, undefined, 'r=0'],
      [429, undefined, 'r=0'],
    ]);
    expect(shop.requests).toHaveLength(1);
  });

  it('gives nobody the coded copy of what is stored for somebody else', async () => {
    await using shop = await startUpstream((req, res) => {
      const who = req.headers['x-auth-subject'];
      res.writeHead(200, { ...TYPE, 'Cache-Control': 'max-age=60' }).end(JSON.stringify({ who, TEXT }));
    });
    await using gateway = await start({ upstreams: [shop], auth: 'required' });
    const users = ['ann', 'bob'].map((name) => ({ name, headers: bearer(tokenFor(name)) }));
    for (let n = 0; n < 3; n += 1) {
      for (const { name, headers } of users) {
        const response = await ask(gateway, '/shop/x', 'br', headers);
        expect(JSON.parse(decoded(response)).who).toBe(name);
        expect(response.headers['x-cache']).toBe(n === 0 ? 'MISS' : 'HIT');
      }
    }
    expect((await ask(gateway, '/shop/x')).status).toBe(401);
  });

  it('copies to a mirror ask for identity, and its response is none of the client', async () => {
    await using shop = await startUpstream(says(TEXT));
    await using next = await startUpstream(says('[]'));
    await using gateway = await startGateway({
      services: {
        '/shop': { upstreams: [shop], auth: 'none', compress: 'on', mirror: { service: 'next' } },
        '/next': [next],
      },
    });
    expect(decoded(await ask(gateway, '/shop/x'))).toBe(TEXT);
    await eventually('the copy', () => next.requests.length === 1);
    expect(fieldValue(next.requests[0]?.fields ?? [], 'accept-encoding')).toBe('identity');
  });

  it('keeps coded copies and counts coders where its chain is composed anew', async () => {
    const slow: ServerResponse[] = [];
    const respond = says(TEXT, { 'Cache-Control': 'public, max-age=60' });
    await using shop = await startUpstream((req, res) => {
      if (req.url !== '/slow') return respond(req, res);
      res.writeHead(200, TYPE).write('[1,');
      slow.push(res);
    });
    await using gateway = await start({ upstreams: [shop] }, { env: { COMPRESSION_CODERS: '1' } });
    await using again = await composedAgain(gateway);
    // By a name that both have: responses to other names are others.
    const host = { Host: 'gateway.test' };
    expect((await ask(gateway, '/shop/x', 'br', host)).headers['content-encoding']).toBe('br');
    await eventually('a copy', async () => {
      const { headers } = await ask(gateway, '/shop/x', 'br', host);
      return headers['x-cache'] === 'HIT' && headers['content-encoding'] === 'br';
    });
    const lasting = open(`${gateway.external}/shop/slow`, { headers: { 'Accept-Encoding': 'br' } }).end();
    const response = await answerTo(lasting);
    response.on('error', () => {});
    expect(response.headers['content-encoding']).toBe('br');
    // The only coder is at work: what has no copy yet is not coded, whichever chain it comes by.
    const [known, unknown] = [
      await ask(again, '/shop/x', 'br', host),
      await ask(again, '/shop/x', 'gzip', host),
    ];
    expect([known.headers['content-encoding'], unknown.headers['content-encoding']]).toEqual([
      'br',
      undefined,
    ]);
    expect([decoded(known), decoded(unknown)]).toEqual([TEXT, TEXT]);
    lasting.destroy();
    await eventually('the coder to be free', async () => {
      return (await ask(again, '/shop/x', 'gzip', host)).headers['content-encoding'] === 'gzip';
    });
  });
});
