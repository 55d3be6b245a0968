import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const user = tokenFor('ann', { role: 'user', scope: 'read' });
const admin = tokenFor('eve', { role: ['user', 'admin'], scope: 'read write' });
const bearer = (token: string) => `Authorization: Bearer ${token}`;

let shop: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  shop = await startUpstream((req, res) => {
    if (req.url?.includes('public')) res.setHeader('Cache-Control', 'public, max-age=60');
    res.end('ok');
  });
  gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: [shop],
        cacheTtl: '60s',
        routes: [
          { match: { path: '/admin/**' }, auth: { require: { claims: { role: ['admin'] } } } },
          { match: { path: '/write' }, auth: { require: { scopes: ['write'] } } },
          { match: { path: '/cookie/**' }, auth: { sources: ['cookie:session', 'bearer'] } },
          {
            match: { path: '/kept/**' },
            auth: { sources: ['cookie:session', 'bearer'] },
            passAuthorization: true,
          },
          {
            match: { path: '/page/**' },
            auth: { sources: ['cookie:session'] },
            cors: { origins: ['https://app.faf.example'], credentials: true },
          },
          {
            match: { path: '/reading/**' },
            auth: { sources: ['cookie:session'] },
            cors: { origins: ['https://app.faf.example'] },
          },
          { match: { path: '/maybe' }, auth: { need: 'optional', sources: ['cookie:session', 'query:jwt'] } },
          { match: { path: '/welcome' }, auth: 'optional' },
          { match: { path: '/query/**' }, auth: { sources: ['bearer', 'query:jwt'] } },
          { match: { path: '/bearer/**' }, auth: { sources: ['bearer'] } },
          { match: { path: '/open' }, auth: 'none', passAuthorization: true },
          { match: { path: '/login' }, token: 'issue' },
          { match: { path: '/logout' }, token: 'revoke' },
          {
            match: { path: '/accounts/**' },
            token: 'issue',
            auth: { require: { claims: { role: 'admin' } } },
          },
          { match: { path: '/same', headers: { 'x-version': '2' } }, auth: 'none' },
          { match: { path: '/same' }, auth: { require: { claims: { role: 'admin' } } } },
        ],
      },
    },
    routes: [
      { match: { path: '/bye' }, service: 'shop', rewrite: '/logout' },
      { match: { path: '/f/:id' }, service: 'shop', rewrite: '/items/:id', auth: 'none' },
      { match: { path: '/farewell' }, service: 'shop', rewrite: '/auth/Out;x' },
      {
        match: { path: '/free/admin' },
        service: 'shop',
        rewrite: '/x',
        auth: { require: { scopes: ['write'] } },
      },
    ],
    env: { AUTH_REVOKE_PATHS: '/shop/auth/out', AUTH_QUERY_TOKEN_PATHS: '/shop/bearer', LOG_LEVEL: 'debug' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await shop[Symbol.asyncDispose]();
});

function send(line: string, ...fields: string[]): Promise<RawResponse> {
  const length = line.startsWith('POST') ? ['Content-Length: 0'] : [];
  return sendRaw(gateway.external, request(line, ...length, ...fields));
}

/** A field that the service got with the request that was sent last. */
function got(name: string): string | undefined {
  return fieldValue(shop.requests.at(-1)?.fields ?? [], name);
}

describe('require', () => {
  it('lets in whose token says what is asked for, and nobody else', async () => {
    expect((await send('GET /shop/admin/x', bearer(admin))).status).toBe(200);
    await expectProblem(await send('GET /shop/admin/x', bearer(user)), 'insufficient_scope');
    await expectProblem(await send('GET /shop/admin/x'), 'token_missing');
    expect((await send('GET /shop/write', bearer(admin))).status).toBe(200);
    await expectProblem(await send('GET /shop/write', bearer(user)), 'insufficient_scope', {
      scope: 'write',
    });
    await expectProblem(await send('GET /free/admin', bearer(user)), 'insufficient_scope', {
      scope: 'write',
    });
  });

  it.each([
    '/shop/Admin/x',
    '/shop//admin/x',
    '/shop/admin;a/x',
    '/shop/%61dmin/x',
    '/shop/admin%2fx',
    '/shop/ADMIN',
  ])('counts for every spelling: %s', async (target) => {
    await expectProblem(await send(`GET ${target}`, bearer(user)), 'insufficient_scope');
    expect((await send(`GET ${target}`, bearer(admin))).status).toBe(200);
  });

  it('is counted, and logged with the name of the claim and no value of a token', async () => {
    const before = await gateway.metric('gateway_jwt_validation_errors_total', {
      reason: 'insufficient_scope',
    });
    await send('GET /shop/admin/x', bearer(tokenFor('zoe', { role: 'very-secret-role' })));
    expect(
      await gateway.metric('gateway_jwt_validation_errors_total', { reason: 'insufficient_scope' }),
    ).toBe(before + 1);
    const lines = gateway.logLines().filter(({ message }) => message === 'JWT refused: insufficient_scope');
    expect(lines.at(-1)).toMatchObject({ tokenProblem: 'the claim "role" has none of the values asked for' });
    expect(JSON.stringify(gateway.logLines())).not.toContain('very-secret-role');
  });

  it('comes before the cache: nothing that is stored gets to somebody without the claim', async () => {
    const target = `/shop/admin/cached-${randomUUID()}`;
    await send(`GET ${target}`, bearer(admin));
    expect((await send(`GET ${target}`, bearer(admin))).field('cache-status')).toContain('hit');
    const sameUser = tokenFor('eve', { role: 'user' });
    await expectProblem(await send(`GET ${target}`, bearer(sameUser)), 'insufficient_scope');
  });

  it('refuses a WebSocket before the service hears of it', async () => {
    const before = shop.requests.length;
    const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    const answer = await send(
      'GET /shop/admin/ws',
      ...fields,
      key,
      `Sec-WebSocket-Protocol: bearer, ${user}`,
    );
    await expectProblem(answer, 'insufficient_scope');
    expect(shop.requests.length).toBe(before);
  });
});

describe('a cookie as the source', () => {
  const cookie = (token: string) => `Cookie: a=1; session=${token}; b=2`;

  it('lets in, is taken out of what the service gets, and keeps the response private', async () => {
    const answer = await send('GET /shop/cookie/x', cookie(user));
    expect(answer.status).toBe(200);
    expect(answer.field('cache-control')).toBe('private, no-store');
    expect([got('cookie'), got('x-auth-subject'), got('authorization')]).toEqual([
      'a=1; b=2',
      'ann',
      undefined,
    ]);
    await send('GET /shop/cookie/alone', `Cookie: session=${user}`);
    expect(got('cookie')).toBe(undefined);
    await send('GET /shop/cookie/lines', 'Cookie: a=1', cookie(user), 'Cookie: SESSION=x');
    expect(shop.requests.at(-1)?.fields.join()).not.toContain(user);
  });

  it('passes on with passAuthorization, as Authorization does', async () => {
    await send('GET /shop/kept/x', cookie(user));
    expect(got('cookie')).toBe(`a=1; session=${user}; b=2`);
    await send('GET /shop/kept/y', bearer(user));
    expect(got('authorization')).toBe(`Bearer ${user}`);
    await send('GET /shop/open', 'Authorization: Basic YTpi');
    expect(got('authorization')).toBe('Basic YTpi');
    await send('GET /shop/cookie/z', bearer(user));
    expect(got('authorization')).toBe(undefined);
  });

  it.each([
    [['Origin: https://evil.example'], 'origin_not_allowed'],
    [['Origin: null'], 'origin_not_allowed'],
    [['Origin: http://gateway.test.evil.example'], 'origin_not_allowed'],
    [['Origin: http://gateway.test', 'Origin: http://evil.example'], 'origin_not_allowed'],
    [[], 'origin_not_allowed'],
    [['Sec-Fetch-Site: same-site'], 'origin_not_allowed'],
    [['Sec-Fetch-Site: same-origin'], undefined],
    [['Origin: http://gateway.test'], undefined],
    [['Origin: https://gateway.test'], undefined],
  ] as const)('changes something only from an allowed origin: %j', async (fields, code) => {
    for (const line of ['POST /shop/cookie/x', 'DELETE /shop/cookie/x']) {
      const answer = await send(line, cookie(user), ...fields);
      if (code === undefined) expect(answer.status).toBe(200);
      else await expectProblem(answer, code);
    }
  });

  it('changes something from an origin that the route lets act with cookies', async () => {
    const app = 'Origin: https://app.faf.example';
    expect((await send('POST /shop/page/x', cookie(user), app)).status).toBe(200);
    await expectProblem(await send('POST /shop/reading/x', cookie(user), app), 'origin_not_allowed');
    await expectProblem(
      await send('POST /shop/page/x', cookie(user), 'Origin: https://b.faf.example'),
      'origin_not_allowed',
    );
  });

  it('needs an allowed origin where a field puts another method in place of GET, and for WebSockets', async () => {
    const override = 'X-HTTP-Method-Override: delete';
    await expectProblem(await send('GET /shop/cookie/x', cookie(user), override), 'origin_not_allowed');
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    const handshake = await send('GET /shop/cookie/ws', cookie(user), ...upgrade, key, 'Origin: http://evil');
    await expectProblem(handshake, 'origin_not_allowed');
  });

  it('is not asked where another source counts: a page of another site cannot send it', async () => {
    expect((await send('POST /shop/query/x', bearer(user), 'Origin: https://evil.example')).status).toBe(200);
  });

  it('counts before later sources, good or bad, and once alone', async () => {
    await expectProblem(await send('GET /shop/cookie/x', cookie('x.y.z'), bearer(user)), 'token_invalid');
    await expectProblem(
      await send('GET /shop/cookie/x', `Cookie: session=${user}; session=b`),
      'token_invalid',
    );
    await expectProblem(await send('GET /shop/cookie/x', 'Cookie: session='), 'token_missing');
    expect((await send('GET /shop/cookie/x', 'Cookie: Session=x', bearer(user))).status).toBe(200);
  });

  it('counts for its route alone', async () => {
    await expectProblem(await send('GET /shop/x', cookie(user)), 'token_missing');
    // The service takes tokens that the route does not, and the other way round.
    await expectProblem(await send('GET /shop/Cookie/x', cookie(user)), 'bad_request');
  });

  it('may be missing where a token is optional, and must be good where it is there', async () => {
    expect((await send('GET /shop/maybe', 'Cookie: a=1')).status).toBe(200);
    expect(got('x-auth-subject')).toBe(undefined);
    expect((await send('GET /shop/maybe', cookie(user))).status).toBe(200);
    expect(got('x-auth-subject')).toBe('ann');
    await expectProblem(await send('GET /shop/maybe', cookie('x.y.z')), 'token_invalid');
    await expectProblem(await send('GET /shop/maybe?jwt=x.y.z'), 'token_invalid');
  });
});

it('a subprotocol is a token where one is optional, too', async () => {
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const offer = 'Sec-WebSocket-Protocol: bearer, x.y.z';
  await expectProblem(await send('GET /shop/welcome', ...upgrade, key, offer), 'token_invalid');
});

describe('the query as the source', () => {
  it('lets in, and is removed in every spelling before anybody else sees it', async () => {
    const answer = await send(`GET /shop/query/x?a=1&J%57T=${user}&b=2`);
    expect(answer.status).toBe(200);
    expect(shop.requests.at(-1)?.target).toBe('/query/x?a=1&b=2');
    expect(answer.field('cache-control')).toBe('private, no-store');
    await expectProblem(await send(`GET /shop/query/x?jwt=${user}&jwt=${user}`), 'token_invalid');
  });

  it('is another than access_token, which is removed from its paths where it does not count, too', async () => {
    const events = 'Accept: text/event-stream';
    await expectProblem(await send(`GET /shop/bearer/x?access_token=${user}`, events), 'token_missing');
    expect((await send(`GET /shop/bearer/x?access_token=${user}&a`, bearer(user))).status).toBe(200);
    expect(shop.requests.at(-1)?.target).toBe('/bearer/x?a');
  });
});

describe('token', () => {
  it('issue: a POST needs no token, anything else does', async () => {
    expect((await send('POST /shop/login')).status).toBe(200);
    await expectProblem(await send('GET /shop/login'), 'token_missing');
    await expectProblem(await send('POST /shop/Login'), 'token_missing');
  });

  it.each([
    'POST /shop/logout',
    'DELETE /shop/LogOut;x',
    'POST /bye',
    'POST /farewell',
    'POST /shop/auth/out.json',
    'POST /shop//logout/',
  ])('revoke: %s revokes the token that it comes with', async (line) => {
    const token = bearer(tokenFor('leaver'));
    expect((await send(line.replace(/^\w+/, 'GET'), token)).status).toBe(200);
    await expectProblem(await send(line), 'token_missing');
    const length = line.startsWith('POST') ? [] : ['Content-Length: 0'];
    expect((await send(line, token, ...length)).status).toBe(200);
    await expectProblem(await send('GET /shop/x', token), 'token_revoked');
  });
});

it('routes that ask for different claims share no stored response, whatever it says of itself', async () => {
  const target = '/shop/same?public';
  const verdict = async (...fields: string[]) => {
    const { status, field } = await send(`GET ${target}`, ...fields);
    return [status, field('cache-status')?.includes('hit')];
  };
  expect(await verdict(bearer(admin))).toEqual([200, false]);
  expect(await verdict(bearer(tokenFor('another', { role: 'admin' })))).toEqual([200, true]);
  expect(await verdict('X-Version: 2')).toEqual([200, false]);
});

it.each(['/shop/accounts/x', '/shop/Accounts/x', '/shop/accounts;a/x', '/shop//accounts/x'])(
  'a login asks whatever is no POST for its claims: %s',
  async (target) => {
    const answer = await send(
      `PUT ${target}`,
      `Authorization: Bearer ${tokenFor('bob')}`,
      'Content-Length: 0',
    );
    expect([403, 400]).toContain(answer.status);
  },
);

it.each(['/f/1%2fadmin', '/f/1%252fadmin', '/f/x%252f..%252fadmin', '/f/..%2fadmin', '/f/%2e%2e'])(
  'what stands for a name is one segment, or nothing is forwarded: %s',
  async (target) => {
    const before = shop.requests.length;
    expect((await send(`GET ${target}`)).status).toBe(400);
    expect(shop.requests.length).toBe(before);
  },
);
