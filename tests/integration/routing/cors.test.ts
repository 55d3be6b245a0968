import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, NOBODY, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { type SocketService, startSocketService } from '../../support/upstreams/webSocket.ts';

const APP = 'https://app.faf.example';
const EVIL = 'https://evil.example';
const token = `Authorization: Bearer ${tokenFor('ann')}`;

let shop: Upstream;
let chat: SocketService;
let gateway: TestGateway;

beforeAll(async () => {
  shop = await startUpstream((req, res) => {
    const own = req.url?.startsWith('/varies') ? { Vary: 'Origin' } : {};
    const cors = {
      'Access-Control-Allow-Origin': req.headers.origin ?? '*',
      'X-Number': shop.requests.length,
    };
    res.writeHead(200, { ...own, ...cors, 'Cache-Control': 'public, max-age=60' }).end('ok');
  });
  chat = await startSocketService();
  gateway = await startGateway({
    defaults: { cors: { origins: [APP, 'https://*.faf.example'], credentials: true } },
    services: {
      '/shop': {
        upstreams: [shop],
        cacheTtl: '60s',
        routes: [
          { match: { path: '/public/**' }, cors: { origins: '*', credentials: false }, auth: 'none' },
          { match: { path: '/private/**' }, cors: 'off', auth: 'none' },
          { match: { methods: ['DELETE'], path: '/items/**' }, cors: 'off' },
          { match: { methods: ['GET'], path: '/open/**' }, cors: 'off', auth: 'none' },
          { match: { path: '/versions/**', headers: { 'x-version': '2' } }, cors: { methods: ['PUT'] } },
          { match: { methods: ['GET'], path: '/read/**' }, auth: 'none' },
          { match: { methods: ['POST', 'DELETE'], path: '/write/**' }, cors: { methods: ['GET', 'POST'] } },
          { match: { path: '/small' }, limits: { body: '4' }, auth: 'none' },
        ],
      },
      '/login': { upstreams: [shop] },
      '/dead': { upstreams: [refusedUrl()], auth: 'none' },
      '/failing': { upstreams: [refusedUrl(), shop], auth: 'none' },
      '/full': { upstreams: [shop], concurrency: 1, auth: 'none' },
      '/chat': {
        upstreams: [chat],
        auth: 'none',
        routes: [
          { match: { path: '/all/**' }, cors: { origins: '*', credentials: false } },
          { match: { path: '/free/**' }, cors: 'off' },
        ],
      },
      '/nobody': { upstreams: [NOBODY], auth: 'none' },
    },
    env: { AUTH_ISSUE_PATHS: '/login/auth', RATE_LIMIT_PER_IDENTITY: '100/1m', SERVER_TIMING: 'true' },
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

function preflight(path: string, method = 'GET', origin = APP, ...fields: string[]): Promise<RawResponse> {
  const asked = `Access-Control-Request-Method: ${method}`;
  return send(`OPTIONS ${path}`, `Origin: ${origin}`, asked, ...fields);
}

/** What the response allows the origin that it names, and how often it names one. */
function allowed({ fields }: RawResponse): string[] {
  return fields.filter(([name]) => /^access-control-allow-origin$/i.test(name)).map(([, value]) => value);
}

function varied({ fields }: RawResponse): string[] {
  return fields.filter(([name]) => /^vary$/i.test(name)).map(([, value]) => value);
}

describe('a preflight', () => {
  it('is answered without a token and without asking the service, the one of a login as well', async () => {
    const asked = shop.requests.length;
    for (const [path, method] of [
      ['/shop/x', 'GET'],
      ['/shop/x', 'PATCH'],
      ['/login/auth', 'POST'],
      ['/nobody', 'PUT'],
    ] as const) {
      const answer = await preflight(path, method, APP, 'Access-Control-Request-Headers: authorization');
      expect({ status: answer.status, body: answer.body, rest: answer.rest }).toEqual({
        status: 204,
        body: '',
        rest: '',
      });
      expect(Object.fromEntries(answer.fields)).toMatchObject({
        'Access-Control-Allow-Origin': APP,
        'Access-Control-Allow-Credentials': 'true',
        'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
        'Access-Control-Allow-Headers': 'authorization',
        'Access-Control-Max-Age': '600',
        'X-Request-Id': expect.any(String),
      });
      expect(varied(answer)).toEqual([
        'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      ]);
    }
    expect(shop.requests).toHaveLength(asked);
  });

  it('of an origin that is not allowed is told nothing', async () => {
    for (const origin of [EVIL, 'null', 'https://evil.example#.faf.example', 'http://app.faf.example']) {
      const answer = await preflight('/shop/x', 'GET', origin);
      expect(answer.status).toBe(204);
      expect(answer.fields.filter(([name]) => /^access-control/i.test(name))).toEqual([]);
    }
  });

  it('is for the route of the method that it asks for', async () => {
    expect((await preflight('/shop/items/1', 'PUT')).status).toBe(204);
    expect(allowed(await preflight('/shop/public/x', 'GET', EVIL))).toEqual(['*']);
  });

  it('is an ordinary OPTIONS where that route has no cors, and never public by it', async () => {
    await expectProblem(await preflight('/shop/items/1', 'DELETE'), 'token_missing');
    await expectProblem(await preflight('/shop/open/1', 'GET'), 'token_missing');
    const before = shop.requests.length;
    expect((await preflight('/shop/private/1')).status).toBe(200);
    expect(shop.requests.slice(before)).toMatchObject([{ method: 'OPTIONS', target: '/private/1' }]);
  });

  it('finds a route that goes by a field when it announces the field', async () => {
    const plain = await preflight('/shop/versions/1', 'PUT', APP);
    expect(plain.field('Access-Control-Allow-Methods')).toContain('DELETE');
    const answer = await preflight(
      '/shop/versions/1',
      'PUT',
      APP,
      'Access-Control-Request-Headers: X-Version',
    );
    expect(answer.field('Access-Control-Allow-Methods')).toBe('PUT');
  });

  it('allows no method that has another route: browsers remember it for the URL', async () => {
    const methods = async (path: string, method: string) =>
      (await preflight(path, method)).field('Access-Control-Allow-Methods');
    expect(await methods('/shop/items/1', 'PUT')).toBe('GET, HEAD, POST, PUT, PATCH');
    expect(await methods('/shop/read/1', 'GET')).toBe('GET, HEAD');
    expect(await methods('/shop/read/1', 'HEAD')).toBe('GET, HEAD');
    expect(await methods('/shop/Read/1', 'GET')).toBe('GET, HEAD, POST, PUT, PATCH, DELETE');
    expect(await methods('/shop/write/1', 'POST')).toBe('POST');
  });

  it('takes no permit and counts for no rate', async () => {
    const answer = await preflight('/full/x', 'GET', APP, token);
    expect(answer.status).toBe(204);
    expect(answer.field('RateLimit')).toBe(undefined);
  });

  it('is answered for a path without a service, so that the page can read the 404', async () => {
    expect(allowed(await preflight('/nowhere', 'POST'))).toEqual([APP]);
    expect(allowed(await preflight('/nowhere', 'POST', EVIL))).toEqual([]);
  });

  it('is refused where the request is no valid one', async () => {
    await expectProblem(
      await sendRaw(
        gateway.external,
        `OPTIONS /shop/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: ${APP}\r\nAccess-Control-Request-Method: GET\r\n\r\n`,
      ),
      'bad_request',
    );
  });

  it('means nothing on the internal port', async () => {
    const text = request('OPTIONS /internal/shop/x', 'Access-Control-Request-Method: GET');
    expect((await sendRaw(gateway.internal, text)).status).toBe(200);
  });
});

describe('a response', () => {
  it('may be read by pages of allowed origins alone, whatever the service says itself', async () => {
    const asked = (origin: string) => send('POST /shop/x', token, `Origin: ${origin}`, 'Content-Length: 0');
    const [app, tea, evil] = [await asked(APP), await asked('https://tea.faf.example'), await asked(EVIL)];
    expect([app, tea, evil].map(allowed)).toEqual([[APP], ['https://tea.faf.example'], []]);
    expect([app, tea, evil].map(varied)).toEqual([['Origin'], ['Origin'], ['Origin']]);
    expect(app.field('Access-Control-Allow-Credentials')).toBe('true');
    expect(app.field('Access-Control-Expose-Headers')).toBe(
      'X-Request-Id, Retry-After, WWW-Authenticate, RateLimit, RateLimit-Policy, X-Cache, Cache-Status, Proxy-Status, Allow, Server-Timing',
    );
    expect(shop.requests.at(-1)?.method).toBe('POST');
  });

  it('is the service’s own where the route has no cors', async () => {
    const answer = await send('GET /shop/private/x', `Origin: ${EVIL}`);
    expect([allowed(answer), varied(answer)]).toEqual([[EVIL], []]);
  });

  it.each<[string, string, Parameters<typeof expectProblem>[1], ...string[]]>([
    ['no token', 'GET /shop/x', 'token_missing'],
    ['a bad token', 'GET /shop/x', 'token_invalid', 'Authorization: Bearer x.y.z'],
    ['no service', 'GET /nowhere', 'no_such_service'],
    ['an ambiguous target', 'GET /shop/a/%2e%2e/b', 'bad_request'],
    ['a target that is too long', `GET /shop/${'x'.repeat(20_000)}`, 'uri_too_long'],
    ['TRACE', 'TRACE /shop/x', 'method_not_allowed'],
    ['too much content', 'POST /shop/small', 'body_too_large', 'Content-Length: 5'],
    ['nobody there', 'GET /dead/x', 'upstream_unreachable'],
  ])('of the gateway itself can be read: %s', async (_what, line, code, ...fields) => {
    const answer = await send(line, `Origin: ${APP}`, ...fields);
    await expectProblem(answer, code);
    expect([allowed(answer), varied(answer)]).toEqual([[APP], ['Origin']]);
    expect(answer.field('Access-Control-Allow-Credentials')).toBe('true');
    expect(allowed(await send(line, `Origin: ${EVIL}`, ...fields))).toEqual([]);
  });

  it('of the one replica that is left carries them once', async () => {
    for (let n = 0; n < 4; n += 1) {
      const answer = await send('GET /failing/x', `Origin: ${APP}`, 'Cache-Control: no-store');
      expect([answer.status, allowed(answer)]).toEqual([200, [APP]]);
    }
  });

  it('can be read when a limit refuses', async () => {
    await using slow = await startUpstream(() => {});
    await using full = await startGateway({
      services: {
        '/full': { upstreams: [slow], concurrency: 1, auth: 'none', cors: { origins: [APP] } },
        '/rated': { upstreams: [shop], auth: 'none', cors: { origins: [APP] } },
      },
      env: { RATE_LIMIT_PER_ADDRESS: '2/1m' },
    });
    const get = (path: string) => sendRaw(full.external, request(`GET ${path}`, `Origin: ${APP}`));
    const held = sendRaw(full.external, request('GET /full/x'));
    await eventually('the first request', () => slow.requests.length > 0);
    const busy = await get('/full/x');
    await expectProblem(busy, 'service_busy');
    expect([allowed(busy), varied(busy)]).toEqual([[APP], ['Origin']]);
    const limited = await get('/rated/x');
    expect([limited.status, allowed(limited), varied(limited)]).toEqual([429, [APP], ['Origin']]);
    expect(limited.field('RateLimit')).toBeDefined();
    await slow[Symbol.asyncDispose]();
    await held;
  });
});

describe('routes beside the services', () => {
  it('have cors of their own, also where no service is asked', async () => {
    await using own = await startGateway({
      services: { '/shop': { upstreams: [shop], auth: 'none' } },
      routes: [
        { match: { methods: ['GET'], path: '/api/**' }, service: 'shop', cors: { origins: [APP] } },
        { match: { methods: ['POST'], path: '/api/silent' }, service: 'shop' },
        { match: { path: '/old' }, redirect: { to: '/new' }, cors: { origins: [APP] } },
        { match: { path: '/closed' }, respond: { status: 503, body: 'noon' }, cors: { origins: '*' } },
      ],
    });
    const ask = (line: string, ...fields: string[]) =>
      sendRaw(own.external, request(line, `Origin: ${APP}`, ...fields));
    const preflighted = (path: string, method: string) =>
      ask(`OPTIONS ${path}`, `Access-Control-Request-Method: ${method}`);
    const shown = ({ status, ...answer }: RawResponse) => [status, allowed({ status, ...answer })];

    expect(shown(await ask('GET /api/x'))).toEqual([200, [APP]]);
    expect(shown(await ask('GET /old'))).toEqual([307, [APP]]);
    expect(shown(await ask('GET /closed'))).toEqual([503, ['*']]);
    const refused = await ask('DELETE /api/x');
    expect([...shown(refused), refused.field('Allow')]).toEqual([405, [APP], 'GET, HEAD']);
    expect(varied(refused)).toEqual(['Origin']);
    for (const [path, method, origin] of [
      ['/api/x', 'GET', APP],
      ['/api/x', 'DELETE', APP],
      ['/old', 'POST', APP],
      ['/closed', 'PUT', '*'],
    ] as const)
      expect(shown(await preflighted(path, method))).toEqual([204, [origin]]);
    const methods = async (path: string, method: string) =>
      (await preflighted(path, method)).field('Access-Control-Allow-Methods');
    expect(await methods('/api/x', 'GET')).toBe('GET, HEAD');
    // The page may ask, so that it can read the 405.
    expect(await methods('/api/x', 'DELETE')).toBe('GET, HEAD, DELETE');
    expect(await methods('/api/silent', 'GET')).toBe('GET, HEAD');
    expect(await methods('/api/silent', 'POST')).toBe('GET, HEAD');
    expect(shown(await preflighted('/shop/x', 'GET'))).toEqual([200, [APP]]);
    expect(shown(await ask('GET /nowhere'))).toEqual([404, []]);
  });
});

describe('the cache', () => {
  const get = (path: string, origin?: string) =>
    send(
      `GET /shop${path}`,
      ...(path.startsWith('/public') ? [] : [token]),
      ...(origin ? [`Origin: ${origin}`] : []),
    );

  it('gives one stored response to pages of all origins, each with its own name', async () => {
    const answers = [
      await get('/one', APP),
      await get('/one', 'https://tea.faf.example'),
      await get('/one', EVIL),
      await get('/one'),
    ];
    expect(answers.map(({ field }) => field('X-Number'))).toEqual(
      Array(4).fill(answers[0]?.field('X-Number')),
    );
    expect(answers.map(({ field }) => field('X-Cache'))).toEqual(['MISS', 'HIT', 'HIT', 'HIT']);
    expect(answers.map(allowed)).toEqual([[APP], ['https://tea.faf.example'], [], []]);
    expect(answers.map(varied)).toEqual(Array(4).fill(['Origin']));
  });

  it('keeps one for each origin where the service says that it varies', async () => {
    const answers = [await get('/varies', APP), await get('/varies', EVIL), await get('/varies', APP)];
    expect(answers.map(({ field }) => field('X-Cache'))).toEqual(['MISS', 'MISS', 'HIT']);
    expect(answers.map(allowed)).toEqual([[APP], [], [APP]]);
    expect(answers.map(varied)).toEqual(Array(3).fill(['Origin']));
  });

  it('has them on a 304 and on a part', async () => {
    await get('/part', APP);
    const part = await send('GET /shop/part', token, `Origin: ${APP}`, 'Range: bytes=0-0');
    expect([part.status, allowed(part)]).toEqual([206, [APP]]);
  });
});

describe('a WebSocket', () => {
  async function handshake(
    path: string,
    headers: Record<string, string>,
    at: TestGateway = gateway,
  ): Promise<number> {
    const socket = new WebSocket(`${at.external.replace('http', 'ws')}${path}`, { headers });
    socket.on('error', () => {});
    const status = await new Promise<number>((resolve) => {
      socket.once('open', () => resolve(101));
      socket.once('unexpected-response', (_req, { statusCode = 0 }) => resolve(statusCode));
    });
    socket.terminate();
    return status;
  }
  const Cookie = 'session=1';

  it('with cookies is opened by pages of an allowed origin and of the gateway’s own', async () => {
    const own = gateway.external;
    for (const Origin of [APP, 'https://tea.faf.example', own])
      expect(await handshake('/chat/room', { Origin, Cookie })).toBe(101);
    expect(await handshake('/chat/room', { Cookie })).toBe(101);
  });

  it('with cookies is not opened by any other page', async () => {
    for (const Origin of [EVIL, 'null', 'https://evil.example#.faf.example']) {
      expect(await handshake('/chat/room', { Origin, Cookie })).toBe(403);
      expect(await handshake('/chat/all/room', { Origin, Cookie })).toBe(403);
      expect(await handshake('/chat/room', { Origin, Authorization: 'Basic YTpi' })).toBe(403);
    }
    expect(await gateway.metric('gateway_requests_total', { status: '403' })).toBeGreaterThan(0);
  });

  it('without them is opened by any page: it can do no more than a program', async () => {
    expect(await handshake('/chat/room', { Origin: EVIL })).toBe(101);
    expect(await handshake('/chat/all/room', { Origin: EVIL })).toBe(101);
    expect(await handshake('/chat/room', { Origin: EVIL, ...bearer(tokenFor('ann')) })).toBe(101);
  });

  it('is the service’s to judge where the route has no cors', async () => {
    expect(await handshake('/chat/free/room', { Origin: EVIL, Cookie })).toBe(101);
  });

  it('knows the gateway’s own origin behind a trusted proxy that asks by another name', async () => {
    await using proxied = await startGateway({
      services: { '/chat': { upstreams: [chat], auth: 'none', cors: { origins: [APP] } } },
      env: { TRUSTED_PROXIES: '127.0.0.1' },
    });
    const headers = { Origin: 'https://api.other.example', Cookie, 'X-Forwarded-Host': 'api.other.example' };
    expect(await handshake('/chat/room', headers, proxied)).toBe(101);
    expect(await handshake('/chat/room', { ...headers, Origin: EVIL }, proxied)).toBe(403);
    expect(await handshake('/chat/room', headers)).toBe(403);
  });

  it('that is refused says so in a way that its page’s owner can read', async () => {
    const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    const answer = await send('GET /chat/room', ...fields, key, `Origin: ${EVIL}`, 'Cookie: a=b');
    await expectProblem(answer, 'origin_not_allowed');
  });
});
