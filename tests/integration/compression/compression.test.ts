import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { Coding } from '../../../lib/compression/codings.ts';
import { answerTo, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  STORES,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { run } from '../../support/processes/command.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const DECODE = { zstd: zstdDecompressSync, br: brotliDecompressSync, gzip: gunzipSync };
const TEXT = JSON.stringify(Array.from({ length: 3000 }, (_, id) => ({ id, name: `item ${id}` })));
const TYPE = { 'Content-Type': 'application/json' };

/** A service with a tag, conditional requests and ranges, as a framework's file handler has them. */
const files: RequestListener = (req, res) => {
  const fields = { ...TYPE, ETag: '"v1"', 'Accept-Ranges': 'bytes', 'Cache-Control': 'public, max-age=60' };
  const { range, 'if-none-match': known, 'if-match': expected, 'if-range': same } = req.headers;
  if (expected !== undefined && expected !== '"v1"') return void res.writeHead(412).end();
  if (req.method === 'PUT') return void res.writeHead(204).end();
  if (known === '"v1"') return void res.writeHead(304, fields).end();
  if (range !== undefined && (same === undefined || same === '"v1"')) {
    const part = { ...fields, 'Content-Range': `bytes 0-9/${TEXT.length}`, 'Content-Length': 10 };
    return void res.writeHead(206, part).end(TEXT.slice(0, 10));
  }
  res.writeHead(200, { ...fields, 'Content-Length': TEXT.length }).end(TEXT);
};

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly service: Upstream;
  ask(headers?: Record<string, string>, method?: string, path?: string): Promise<CallResponse>;
}

async function world(
  more: Partial<TestGatewayOptions['services'][string]> & object = {},
  handler: RequestListener = files,
  options: Partial<TestGatewayOptions> = {},
): Promise<World> {
  const stack = new AsyncDisposableStack();
  const service = stack.use(await startUpstream(handler));
  const given = { upstreams: [service], auth: 'none', compress: true, ...more };
  const gateway = stack.use(
    await startGateway({
      services: { '/budgeting': given as TestGatewayOptions['services'][string] },
      ...options,
    }),
  );
  return {
    gateway,
    service,
    ask: (headers = {}, method = 'GET', path = '/x') =>
      call(`${gateway.external}/budgeting${path}`, {
        method,
        headers: { 'Accept-Encoding': 'br', ...headers },
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function decoded({ headers, body }: CallResponse): string {
  const coding = headers['content-encoding'] as Coding | undefined;
  return (coding ? DECODE[coding](body) : body).toString();
}

describe('compress', () => {
  it('is off, and costs nothing, unless the file says it', async () => {
    await using w = await world({ compress: undefined });
    const { headers, body } = await w.ask();
    expect([headers['content-encoding'], headers.vary, body.toString()]).toEqual([
      undefined,
      undefined,
      TEXT,
    ]);
    const [asked] = w.service.requests;
    expect(asked?.fields.includes('br')).toBe(true);
  });

  it('is inherited, changed and ended by routes', async () => {
    await using w = await world(
      {
        compress: undefined,
        routes: [
          { match: { path: '/gzip/**' }, compress: { codings: ['gzip'] } },
          { match: { path: '/off/**' }, compress: 'off' },
          { match: { path: '/large/**' }, compress: { floor: '1MiB' } },
        ],
      } as object,
      files,
      { defaults: { compress: 'on' } },
    );
    const all = { 'Accept-Encoding': 'gzip, br' };
    const codings = await Promise.all(
      ['/x', '/gzip/x', '/off/x', '/OFF/x', '/large/x'].map(
        async (path) => (await w.ask(all, 'GET', path)).headers['content-encoding'],
      ),
    );
    expect(codings).toEqual(['br', 'gzip', undefined, undefined, undefined]);
  });

  describe.each(STORES)('with the cache (%s)', (store) => {
    it('stores one response for all codings, and serves it in each, to HEAD and in ranges too', async () => {
      await using w = await world({}, files, { store });
      for (const coding of ['br', 'gzip', 'zstd', 'identity', 'br', 'gzip', 'zstd']) {
        const response = await w.ask({ 'Accept-Encoding': coding });
        expect(decoded(response)).toBe(TEXT);
        expect(response.headers.vary).toBe('Accept-Encoding');
        expect(response.headers['content-encoding']).toBe(coding === 'identity' ? undefined : coding);
        expect(response.headers.etag).toBe(coding === 'identity' ? '"v1"' : `"v1;coded=${coding}"`);
      }
      const again = await w.ask();
      expect(again.headers).toMatchObject({ 'x-cache': 'HIT', 'content-length': String(again.body.length) });
      const head = await w.ask({}, 'HEAD');
      expect(head.headers).toMatchObject({
        'content-encoding': 'br',
        etag: '"v1;coded=br"',
        'x-cache': 'HIT',
      });
      const part = await w.ask({ Range: 'bytes=2-5' });
      expect([part.status, part.body.toString(), part.headers.etag]).toEqual([206, TEXT.slice(2, 6), '"v1"']);
      expect(part.headers).not.toHaveProperty('content-encoding');
      const whole = await w.ask({ Range: 'bytes=2-5', 'If-Range': '"v1;coded=br"' });
      expect([whole.status, decoded(whole)]).toEqual([200, TEXT]);
      expect(w.service.requests.length).toBe(1);
    });

    it('answers 304 for a tag of the coded response, from what is stored', async () => {
      await using w = await world({}, files, { store });
      const { headers } = await w.ask();
      const known = { 'If-None-Match': String(headers.etag) };
      const same = await w.ask(known);
      expect([same.status, same.headers.etag, same.headers['x-cache']]).toEqual([
        304,
        '"v1;coded=br"',
        'HIT',
      ]);
      const other = await w.ask({ ...known, 'Accept-Encoding': 'gzip' });
      expect([other.status, decoded(other)]).toEqual([200, TEXT]);
      expect(w.service.requests.length).toBe(1);
    });
  });

  it('answers 304 when the stored response is validated', async () => {
    const stale: RequestListener = (req, res) => {
      const fields = { ...TYPE, ETag: '"v1"', 'Cache-Control': 'public, max-age=0, must-revalidate' };
      if (req.headers['if-none-match'] === '"v1"') return void res.writeHead(304, fields).end();
      res.writeHead(200, fields).end(TEXT);
    };
    await using w = await world({}, stale);
    const first = await w.ask();
    const again = await w.ask();
    const same = await w.ask({ 'If-None-Match': String(first.headers.etag) });
    expect([decoded(first), decoded(again)]).toEqual([TEXT, TEXT]);
    expect([same.status, same.headers.etag]).toEqual([304, '"v1;coded=br"']);
    const coded = await w.gateway.metric('gateway_compression_bytes_in_total', { coding: 'br' });
    expect(coded).toBe(2 * TEXT.length);
  });

  it('hands the service its own tags without a cache, on a route without compression as well', async () => {
    await using w = await world({
      cache: 'off',
      routes: [{ match: { methods: ['PUT'], path: '/**' }, compress: 'off' }],
    } as object);
    const tag = String((await w.ask()).headers.etag);
    expect((await w.ask({ 'If-None-Match': tag })).status).toBe(304);
    expect((await w.ask({ 'If-Match': tag }, 'PUT')).status).toBe(204);
    expect((await w.ask({ Range: 'bytes=0-9' })).status).toBe(206);
    expect((await w.ask({ Range: 'bytes=0-9', 'If-Range': tag })).status).toBe(200);
  });

  it('hands its own tags to a side of a split by a route to that side alone, too', async () => {
    await using service = await startUpstream(files);
    const path = '/catalogue/**';
    await using gateway = await startGateway({
      services: {
        '/one': { upstreams: [service], auth: 'none' },
        '/two': { upstreams: [service], auth: 'none' },
      },
      routes: [
        {
          match: { path },
          split: [
            { service: 'one', weight: 0 },
            { service: 'two', weight: 1 },
          ],
          compress: true,
        },
        { match: { path, headers: { 'x-canary': '1' } }, service: 'two' },
      ],
    });
    const url = `${gateway.external}/catalogue/x`;
    const { headers } = await call(url, { headers: { 'Accept-Encoding': 'br' } });
    expect(headers.etag).toBe('"v1;coded=br"');
    const change = { 'If-Match': String(headers.etag), 'X-Canary': '1' };
    expect((await call(url, { method: 'PUT', headers: change })).status).toBe(204);
  });

  it('passes on what a service has coded itself, stored by its own Vary', async () => {
    const codes: RequestListener = (_req, res) =>
      void res
        .writeHead(200, {
          ...TYPE,
          'Content-Encoding': 'gzip',
          Vary: 'Accept-Encoding',
          'Cache-Control': 'public, max-age=60',
        })
        .end(gzipSync(TEXT));
    await using w = await world({}, codes);
    const responses = [await w.ask(), await w.ask({ 'Accept-Encoding': 'gzip' })];
    expect(responses.map(decoded)).toEqual([TEXT, TEXT]);
    expect(w.service.requests.length).toBe(1);
  });

  it('agrees with CORS about Vary, and with rules about what must not be changed', async () => {
    await using w = await world({
      cors: { origins: ['https://app.faf.example'] },
      routes: [
        { match: { path: '/plain/**' }, headers: { response: { set: { 'Cache-Control': 'no-transform' } } } },
      ],
    } as object);
    const { headers } = await w.ask({ Origin: 'https://app.faf.example' });
    expect(headers.vary).toBe('Accept-Encoding, Origin');
    const plain = await w.ask({}, 'GET', '/plain/x');
    expect([plain.headers['content-encoding'], plain.body.toString()]).toEqual([undefined, TEXT]);
  });

  it('lets a slow response come piece by piece, and event streams as they are', async () => {
    const slow: RequestListener = (req, res) => {
      const isEvents = req.url === '/events';
      res.writeHead(200, isEvents ? { 'Content-Type': 'text/event-stream' } : TYPE).write('first\n\n');
    };
    await using w = await world({ cache: 'off' } as object, slow);
    for (const [path, coding] of [
      ['/x', 'gzip'],
      ['/events', undefined],
    ] as const) {
      const req = open(`${w.gateway.external}/budgeting${path}`, {
        headers: { 'Accept-Encoding': 'gzip' },
      }).end();
      const response = await answerTo(req);
      expect(response.headers['content-encoding']).toBe(coding);
      const [chunk] = await once(response, 'data');
      if (coding === undefined) expect(String(chunk)).toBe('first\n\n');
      req.destroy();
    }
    await eventually('the coder to be free', () => w.gateway.gateway.parts.coding.limit.held === 0);
  });

  it('cuts a compressed response whose service breaks off', async () => {
    const breaks: RequestListener = (_req, res) => {
      res.writeHead(200, TYPE).write(TEXT, () => setImmediate(() => res.destroy()));
    };
    await using w = await world({ cache: 'off', retry: 'off' } as object, breaks);
    await expect(w.ask()).rejects.toThrow();
    await eventually('the coder to be free', () => w.gateway.gateway.parts.coding.limit.held === 0);
  });

  it('ends a compressed response that nobody reads by SEND_TIMEOUT', async () => {
    const noise = Buffer.from(Array.from({ length: 2 ** 20 }, () => Math.floor(Math.random() * 256)));
    const endless: RequestListener = (_req, res) => {
      res.writeHead(200, TYPE);
      const fill = () => {
        while (res.write(noise) && !res.destroyed);
      };
      res.on('drain', fill);
      fill();
    };
    await using w = await world({ cache: 'off' } as object, endless, { env: { SEND_TIMEOUT: '300ms' } });
    const socket = connect(Number(new URL(w.gateway.external).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /budgeting/x HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n');
    await eventually('the response to have begun', () => w.gateway.gateway.parts.coding.limit.held === 1);
    await eventually('the response to be cut', () => w.gateway.gateway.parts.coding.limit.held === 0);
    const line = await eventually('the line of the log', () =>
      w.gateway.logLines().find(({ code }) => code === 'client_stalled'),
    );
    expect(line).toMatchObject({ status: 200 });
    socket.destroy();
  });

  it('tries another replica as without it', async () => {
    await using w = await world();
    await using gateway = await startGateway({
      services: {
        '/budgeting': { upstreams: ['http://127.0.0.1:1', w.service], auth: 'none', compress: true },
      },
    });
    for (const path of ['/a', '/b', '/c']) {
      const response = await call(`${gateway.external}/budgeting${path}`, {
        headers: { 'Accept-Encoding': 'zstd' },
      });
      expect([response.headers['content-encoding'], decoded(response)]).toEqual(['zstd', TEXT]);
    }
  });

  it('leaves WebSockets alone', async () => {
    await using service = await startSocketService();
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [service], auth: 'none', compress: true } },
    });
    const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/budgeting/x`, {
      headers: { 'Accept-Encoding': 'gzip' },
    });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    socket.terminate();
    expect(service.handshakes[0]?.headers['accept-encoding']).toBe('gzip');
  });

  it('compresses long fixed responses, and no short refusal', async () => {
    const long = 'back at noon '.repeat(400);
    await using w = await world({}, files, {
      routes: [{ match: { path: '/notice' }, compress: true, respond: { status: 200, body: long } }],
    });
    const notice = await call(`${w.gateway.external}/notice`, { headers: { 'Accept-Encoding': 'br' } });
    expect([notice.headers['content-encoding'], decoded(notice)]).toEqual(['br', long]);
  });

  it('gives a login its token first, and codes after that', async () => {
    const token = tokenFor('ann');
    const login: RequestListener = (_req, res) =>
      void res.writeHead(200, TYPE).end(JSON.stringify({ token, more: TEXT }));
    await using w = await world(
      { routes: [{ match: { path: '/login' }, token: 'issue' }], auth: 'required' } as object,
      login,
      {
        env: { AUTH_REQUIRE_KNOWN_TOKENS: 'true' },
      },
    );
    const response = await w.ask({}, 'POST', '/login');
    expect(JSON.parse(decoded(response)).token).toBe(token);
    expect(response.headers['content-encoding']).toBe('br');
    expect((await w.ask(bearer(token))).status).toBe(200);
  });

  it('sends what is beyond COMPRESSION_CODERS uncoded, and counts it', async () => {
    await using w = await world({}, files, { env: { COMPRESSION_CODERS: '0' } });
    const { headers, body } = await w.ask();
    expect([headers.vary, body.toString()]).toEqual(['Accept-Encoding', TEXT]);
    expect(
      await w.gateway.metric('gateway_compression_uncoded_total', { service: '/budgeting', cause: 'busy' }),
    ).toBe(1);
  });

  it('is understood by curl and fetch', async () => {
    await using w = await world();
    const url = `${w.gateway.external}/budgeting/x`;
    const { stdout } = await run('curl', ['-sS', '--compressed', url]);
    expect(stdout.toString() === TEXT).toBe(true);
    expect(await (await fetch(url)).text()).toBe(TEXT);
    expect(await w.gateway.metric('gateway_compression_bytes_out_total')).toBeGreaterThan(0);
  });
});
