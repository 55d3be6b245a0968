import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { fieldValue, fieldValues } from '../../../lib/http/fields.ts';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { type SocketService, startSocketService } from '../../support/upstreams/webSocket.ts';

const ann = tokenFor('ann');
const token = `Authorization: Bearer ${ann}`;

let shop: Upstream;
let chat: SocketService;
let gateway: TestGateway;

beforeAll(async () => {
  shop = await startUpstream((req, res) => {
    const varies = req.url?.startsWith('/varies') ? ['Vary', 'X-Tenant, Cookie'] : [];
    res.writeHead(200, [
      ...['Server', 'own', 'X-Number', String(shop.requests.length), 'X-Internal', 'secret', ...varies],
      ...['Cache-Control', 'public, max-age=60', 'X-Frame-Options', 'SAMEORIGIN'],
    ]);
    res.end('ok');
  });
  chat = await startSocketService();
  gateway = await startGateway({
    defaults: {
      security: { csp: "default-src 'none'" },
      headers: {
        request: { set: { 'X-Tenant': 'faf', 'X-Level': 1 }, remove: ['Cookie'] },
        response: { set: { 'X-Powered-By': 'faf' }, remove: ['Server', 'X-Internal'] },
      },
    },
    services: {
      '/shop': {
        upstreams: [shop],
        cacheTtl: '60s',
        headers: { request: { set: { 'x-level': 2 } } },
        routes: [
          {
            match: { path: '/own/**' },
            auth: 'none',
            cors: { origins: ['https://app.faf.example'] },
            headers: {
              request: { set: { Authorization: 'Basic Zg==' }, add: { 'X-Extra': ['a', 'b'] } },
              response: {
                add: { Link: ['</a>', '</b>'] },
                set: { 'Cache-Control': 'max-age=5' },
                remove: ['X-Frame-Options'],
              },
            },
          },
          { match: { path: '/plain/**' }, auth: 'none', headers: 'off', security: 'off' },
          { match: { path: '/host/name' }, auth: 'none', host: 'shop.faf.example:8443' },
          { match: { path: '/host/upstream' }, auth: 'none', host: 'upstream' },
        ],
      },
      '/dead': { upstreams: [refusedUrl(), shop], auth: 'none', host: 'upstream' },
      '/chat': {
        upstreams: [chat],
        host: 'upstream',
        routes: [{ match: { path: '/name/**' }, host: 'chat.faf.example' }],
      },
    },
    routes: [
      {
        match: { path: '/closed' },
        respond: { status: 503, body: '<p>noon' },
        headers: { response: { set: { 'Content-Type': 'text/html' } } },
      },
    ],
    env: { TRUSTED_PROXIES: '127.0.0.2' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await shop[Symbol.asyncDispose]();
  await chat[Symbol.asyncDispose]();
});

function send(line: string, ...fields: string[]): Promise<RawResponse> {
  return sendRaw(gateway.external, request(line, ...fields));
}

/** What the service was told last. */
function told(name: string): string[] {
  return fieldValues(shop.requests.at(-1)?.fields ?? [], name);
}

function values({ fields }: RawResponse, name: string): string[] {
  return fields.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
}

describe('rules for requests', () => {
  it('change what the service gets, level by level', async () => {
    await send(
      'POST /shop/x',
      token,
      'X-Tenant: evil',
      'x-tenant: worse',
      'Cookie: a=b',
      'X-Kept: 1',
      'Content-Length: 0',
    );
    expect(['x-tenant', 'x-level', 'cookie', 'x-kept', 'x-auth-subject'].map(told)).toEqual([
      ['faf'],
      ['2'],
      [],
      ['1'],
      ['ann'],
    ]);
    await send('POST /shop/own/x', token, 'X-Extra: c', 'Content-Length: 0');
    expect(['authorization', 'x-extra', 'x-tenant'].map(told)).toEqual([
      ['Basic Zg=='],
      ['c', 'a', 'b'],
      ['faf'],
    ]);
    await send('POST /shop/plain/x', 'X-Tenant: mine', 'Cookie: a=b', 'Content-Length: 0');
    expect(['x-tenant', 'cookie', 'x-level'].map(told)).toEqual([['mine'], ['a=b'], []]);
  });

  it('are no way around what the gateway removes', async () => {
    await send('POST /shop/x', token, 'Connection: close, X-Tenant, X-Level', 'Content-Length: 0');
    expect(['x-tenant', 'x-level'].map(told)).toEqual([['faf'], ['2']]);
  });

  it('hold for the second replica as well', async () => {
    for (let n = 0; n < 3; n += 1) {
      expect((await send(`GET /dead/${n}`)).status).toBe(200);
      expect([told('x-tenant'), told('host')]).toEqual([['faf'], [shop.url.host]]);
    }
  });

  it('hold for WebSockets', async () => {
    const headers = { ...bearer(ann), 'X-Tenant': 'evil', Cookie: 'a=b' };
    const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/chat/room`, { headers });
    const [[answer]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
    socket.terminate();
    expect(chat.handshakes.at(-1)?.headers).toMatchObject({
      'x-tenant': 'faf',
      'x-level': '1',
      'x-auth-subject': 'ann',
    });
    expect(chat.handshakes.at(-1)?.headers).not.toHaveProperty('cookie');
    expect(answer.headers).toMatchObject({ 'x-powered-by': 'faf', 'x-content-type-options': 'nosniff' });
  });

  it('do not hold between services', async () => {
    await sendRaw(gateway.internal, request('GET /internal/shop/x', 'X-Tenant: mine', 'Cookie: a=b'));
    expect(['x-tenant', 'cookie', 'x-level'].map(told)).toEqual([['mine'], ['a=b'], []]);
  });

  it('agree with the cache: what varies by a field goes by what the service gets', async () => {
    const get = (...fields: string[]) => send('GET /shop/varies/x', token, ...fields);
    const first = await get('X-Tenant: a', 'Cookie: a=b');
    const second = await get('X-Tenant: b');
    expect([first, second].map(({ field }) => field('X-Cache'))).toEqual(['MISS', 'HIT']);
    expect(second.field('X-Number')).toBe(first.field('X-Number'));
  });
});

describe('rules for responses', () => {
  it('change what clients get, from the service, from the store and from the gateway', async () => {
    const answers = [
      await send('GET /shop/kept', token),
      await send('GET /shop/kept', token),
      await send('GET /shop/kept', token, 'Range: bytes=0-0'),
      await send('GET /shop/kept'),
      await send('GET /nowhere'),
      await send('TRACE /shop/x'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 206, 401, 404, 405]);
    for (const answer of answers) {
      expect([
        values(answer, 'x-powered-by'),
        values(answer, 'server'),
        values(answer, 'x-internal'),
      ]).toEqual([['faf'], [], []]);
    }
    expect(answers[1]?.field('X-Cache')).toBe('HIT');
  });

  it('are not stored: a route’s are not another’s', async () => {
    const own = await send('GET /shop/own/x');
    expect([values(own, 'link'), values(own, 'cache-control')]).toEqual([['</a>', '</b>'], ['max-age=5']]);
    const again = await send('GET /shop/own/x');
    expect([again.field('X-Cache'), values(again, 'link')]).toEqual(['HIT', ['</a>', '</b>']]);
    const plain = await send('GET /shop/plain/x');
    expect(['server', 'x-internal', 'x-powered-by'].map((name) => values(plain, name))).toEqual([
      ['own'],
      ['secret'],
      [],
    ]);
  });

  it('leave a refusal its content, and keep it from being stored', async () => {
    const answer = await send('GET /shop/own/a/%2e%2e/b');
    await expectProblem(answer, 'bad_request');
    await using broken = await startGateway({
      services: {
        '/x': {
          upstreams: [refusedUrl()],
          auth: 'none',
          headers: { response: { set: { 'Cache-Control': 'public', 'X-A': 1 } } },
        },
      },
    });
    const refused = await sendRaw(broken.external, request('GET /x/y'));
    await expectProblem(refused, 'upstream_unreachable');
    expect(refused.field('X-A')).toBe('1');
  });

  it('are for fixed responses, content and all', async () => {
    const answer = await send('GET /closed');
    expect([answer.status, values(answer, 'content-type'), values(answer, 'x-powered-by')]).toEqual([
      503,
      ['text/html'],
      ['faf'],
    ]);
  });

  it('stand beside CORS', async () => {
    const origin = 'https://app.faf.example';
    const answer = await send('GET /shop/own/y', `Origin: ${origin}`);
    expect([
      values(answer, 'access-control-allow-origin'),
      values(answer, 'vary'),
      values(answer, 'link'),
    ]).toEqual([[origin], ['Origin'], ['</a>', '</b>']]);
    const preflight = await send(
      'OPTIONS /shop/own/y',
      `Origin: ${origin}`,
      'Access-Control-Request-Method: GET',
    );
    expect([preflight.status, values(preflight, 'x-content-type-options')]).toEqual([204, ['nosniff']]);
  });

  it('are not for services among themselves', async () => {
    const answer = await sendRaw(gateway.internal, request('GET /internal/shop/x'));
    expect(['server', 'x-powered-by', 'x-content-type-options'].map((name) => values(answer, name))).toEqual([
      ['own'],
      [],
      [],
    ]);
  });
});

describe('security', () => {
  const shown = (answer: RawResponse) =>
    ['x-content-type-options', 'referrer-policy', 'content-security-policy', 'x-frame-options'].map((name) =>
      values(answer, name),
    );
  const ALL = [['nosniff'], ['strict-origin-when-cross-origin'], ["default-src 'none'"]];

  it('stands on every response, once, and the service’s own value counts', async () => {
    expect(shown(await send('GET /shop/x', token))).toEqual([...ALL, ['SAMEORIGIN']]);
    expect(shown(await send('GET /shop/own/x'))).toEqual([...ALL, ['DENY']]);
    for (const line of ['GET /shop/x', 'GET /nowhere', 'GET /closed'])
      expect(shown(await send(line))).toEqual([...ALL, ['DENY']]);
    expect(shown(await send('GET /shop/plain/x'))).toEqual([[], [], [], ['SAMEORIGIN']]);
  });

  it('says HSTS where a trusted proxy says that the client has TLS, and to nobody else', async () => {
    await using proxied = await startGateway({
      services: { '/shop': { upstreams: [shop], auth: 'none', security: true } },
      env: { TRUSTED_PROXIES: '127.0.0.1' },
    });
    const hsts = async (origin: string, ...fields: string[]) =>
      values(await sendRaw(origin, request('GET /shop/x', ...fields)), 'strict-transport-security');
    expect(await hsts(proxied.external, 'X-Forwarded-Proto: https')).toEqual(['max-age=31536000']);
    expect(await hsts(proxied.external, 'X-Forwarded-Proto: http, https')).toEqual(['max-age=31536000']);
    expect(await hsts(proxied.external, 'X-Forwarded-Proto: https, http')).toEqual([]);
    expect(await hsts(proxied.external)).toEqual([]);
    expect(await hsts(gateway.external, 'X-Forwarded-Proto: https')).toEqual([]);
  });
});

describe('host', () => {
  it('is what the client sent, the replica’s or a name; X-Forwarded-Host stays the client’s', async () => {
    for (const [path, host] of [
      ['/shop/plain/x', 'gateway.test'],
      ['/shop/host/name', 'shop.faf.example:8443'],
      ['/shop/host/upstream', shop.url.host],
    ] as const) {
      await send(`GET ${path}`, 'Cache-Control: no-store');
      expect([told('host'), told('x-forwarded-host')]).toEqual([[host], ['gateway.test']]);
    }
  });

  it('is given to a service whose client names none', async () => {
    const text = (path: string) => `GET ${path} HTTP/1.0\r\n\r\n`;
    await sendRaw(gateway.external, text('/shop/host/name'));
    expect(told('host')).toEqual(['shop.faf.example:8443']);
  });

  it('holds for WebSockets', async () => {
    for (const [path, host] of [
      ['/chat/room', chat.url.host],
      ['/chat/name/room', 'chat.faf.example'],
    ] as const) {
      const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}${path}`, {
        headers: bearer(ann),
      });
      await once(socket, 'open');
      socket.terminate();
      expect(chat.handshakes.at(-1)?.headers).toMatchObject({
        host,
        'x-forwarded-host': new URL(gateway.external).host,
      });
    }
  });

  it('holds between services too', async () => {
    await sendRaw(gateway.internal, request('GET /internal/dead/x'));
    await eventually(
      'the request',
      () => fieldValue(shop.requests.at(-1)?.fields ?? [], 'host') === shop.url.host,
    );
  });

  it('leaves the stored responses of each name apart', async () => {
    const get = (host: string) =>
      sendRaw(
        gateway.external,
        `GET /shop/host/upstream HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
    expect(
      [await get('a.test'), await get('b.test'), await get('a.test')].map(({ field }) => field('X-Cache')),
    ).toEqual(['MISS', 'MISS', 'HIT']);
  });
});
