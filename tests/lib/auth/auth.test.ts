import type { IncomingMessage } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler, Response } from 'express';
import type { TokenError } from '../../../lib/auth/errors.ts';
import { type AuthOptions, auth } from '../../../lib/auth/middleware.ts';
import { revokingRequests } from '../../../lib/auth/revocation/revokePaths.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { neverCalled } from '../../support/neverCalled.ts';
import { failingTokens, memoryTokens } from '../../support/stores/memoryStore.ts';
import { type AuthParts, authParts, sign } from '../../support/tokens.ts';

const LOGIN = '/userManagement/auth/login';
const REGISTER = '/userManagement/auth/register';
const LOGOUT = '/userManagement/auth/logout';

/** Answers with who the gateway says is calling. */
const whoami: RequestHandler = (_req, res) => void res.end(exchangeOf(res).identity?.subject ?? 'nobody');

function appWith(
  { authenticator }: Pick<AuthParts, 'authenticator'>,
  handler: RequestHandler = whoami,
  options: Partial<AuthOptions> = {},
) {
  const paths = { issuePaths: [LOGIN, REGISTER], revokePaths: [LOGOUT] };
  return bareApp([auth({ authenticator, ...paths, ...options }), handler]);
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('auth', () => {
  it('lets an accepted token through, with who is calling', async () => {
    const parts = authParts();
    const accepted: string[] = [];
    await using app = await appWith(parts, whoami, {
      onAccepted: ({ subject }) => void accepted.push(subject),
      onRejected: neverCalled('onRejected'),
    });
    const token = sign(parts.clock, { roles: ['a'] });
    const answer = await call(app.url, { headers: bearer(token) });
    expect(answer.body.toString()).toBe('alice');
    expect(accepted).toEqual(['alice']);
    const { claims = '' } = app.exchanges[0]?.identity ?? {};
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      sub: 'alice',
      roles: ['a'],
    });
  });

  it.each([
    { name: 'no token', headers: {}, code: 'token_missing' },
    { name: 'garbage', headers: bearer('garbage'), code: 'token_invalid' },
    { name: 'Basic', headers: { Authorization: 'Basic YTpi' }, code: 'token_missing' },
  ])('refuses $name with 401', async ({ headers, code }) => {
    const rejected: string[] = [];
    await using app = await appWith(authParts(), neverCalled('the next handler'), {
      onRejected: ({ code }) => void rejected.push(code),
    });
    expect((await call(app.url, { headers })).status).toBe(401);
    expect((app.errors[0] as TokenError).code).toBe(code);
    expect(rejected).toEqual([code]);
  });

  it('refuses an expired token', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    parts.clock.advance(2 * 3_600_000);
    await using app = await appWith(parts, neverCalled('the next handler'));
    expect((await call(app.url, { headers: bearer(token) })).status).toBe(401);
    expect(app.errors[0]).toMatchObject({ code: 'token_expired' });
  });

  it('answers 503 and rejects nobody when the store is away', async () => {
    const clock = new ManualClock();
    const parts = authParts({ clock, store: failingTokens(memoryTokens(clock)) });
    await using app = await appWith(parts, neverCalled('the next handler'), {
      onRejected: neverCalled('onRejected'),
    });
    expect((await call(app.url, { headers: bearer(sign(clock)) })).status).toBe(503);
    expect(app.errors[0]).toMatchObject({ code: 'store_unavailable' });
  });

  it('goes on at once with a token that it has seen before', async () => {
    const parts = authParts();
    const headers = bearer(sign(parts.clock));
    const middleware = auth({ authenticator: parts.authenticator });
    const turns: string[] = [];
    const watching: RequestHandler = (req, res, next) => {
      let turn = 'at once';
      middleware(req, res, (error?: unknown) => {
        turns.push(turn);
        next(error);
      });
      turn = 'later';
    };
    await using app = await bareApp([watching, whoami]);
    for (let n = 0; n < 3; n += 1) await call(app.url, { headers });
    expect(turns).toEqual(['later', 'at once', 'at once']);
  });

  it('is not broken by listeners that throw', async () => {
    using broken = new BrokenListener();
    const parts = authParts();
    const listeners = { onAccepted: broken.listen, onRejected: broken.listen };
    await using app = await appWith(parts, whoami, listeners);
    expect((await call(app.url, { headers: bearer(sign(parts.clock)) })).status).toBe(200);
    expect((await call(app.url)).status).toBe(401);
  });

  it('says nothing more to a request that was given up while the store was asked', async () => {
    const clock = new ManualClock();
    const asked = deferred<undefined>();
    const store = Object.assign(Object.create(memoryTokens(clock)), { get: () => asked.promise });
    await using app = await appWith(authParts({ clock, store }), neverCalled('the next handler'));
    const req = open(app.url, { headers: bearer(sign(clock)) }).end();
    await eventually('the request', () => app.exchanges.length === 1);
    req.destroy();
    await eventually('the abort', () => app.exchanges[0]?.signal.aborted);
    asked.resolve(undefined);
    await asked.promise;
    expect(app.errors).toEqual([]);
  });
});

describe('auth, paths that need no token', () => {
  it.each([
    { method: 'POST', path: LOGIN, open: true },
    { method: 'POST', path: REGISTER, open: true },
    { method: 'POST', path: `${LOGIN}?next=/`, open: true },
    { method: 'POST', path: `${LOGIN}?`, open: true },
    { method: 'POST', path: `${LOGIN}/`, open: false },
    { method: 'POST', path: `${LOGIN}/x`, open: false },
    { method: 'POST', path: `${LOGIN}x`, open: false },
    { method: 'POST', path: `${LOGIN};x`, open: false },
    { method: 'POST', path: `/${LOGIN}`, open: false },
    { method: 'POST', path: `/x${LOGIN}`, open: false },
    { method: 'POST', path: `/x/..${LOGIN}`, open: false },
    { method: 'POST', path: '/userManagement/auth//login', open: false },
    { method: 'POST', path: '/userManagement/auth/./login', open: false },
    { method: 'POST', path: '/userManagement/auth/%6cogin', open: false },
    { method: 'POST', path: '/userManagement%2fauth/login', open: false },
    { method: 'POST', path: `${LOGIN}%20`, open: false },
    { method: 'POST', path: '/usermanagement/auth/login', open: false },
    { method: 'POST', path: '/userManagement/auth/Login', open: false },
    { method: 'POST', path: '/userManagement\\auth\\login', open: false },
    { method: 'POST', path: `/?${LOGIN}`, open: false },
    { method: 'GET', path: LOGIN, open: false },
    { method: 'HEAD', path: LOGIN, open: false },
    { method: 'PUT', path: LOGIN, open: false },
    { method: 'OPTIONS', path: LOGIN, open: false },
    { method: 'POST', path: LOGOUT, open: false },
  ])('$method $path: $open', async ({ method, path, open: isOpen }) => {
    await using app = await appWith(authParts());
    expect((await call(app.url, { method, path })).status).toBe(isOpen ? 200 : 401);
  });

  it('are compared with what the client sent, wherever the middleware is mounted', async () => {
    const { authenticator } = authParts();
    const rewrites: RequestHandler = (req, _res, next) => {
      req.url = LOGIN;
      next();
    };
    await using app = await bareApp([rewrites, auth({ authenticator, issuePaths: [LOGIN] }), whoami]);
    expect((await call(app.url, { method: 'POST', path: '/private' })).status).toBe(401);
  });

  it('are none by default', async () => {
    const { authenticator } = authParts();
    await using app = await bareApp([auth({ authenticator }), whoami]);
    expect((await call(app.url, { method: 'POST', path: LOGIN })).status).toBe(401);
  });

  it('carry no identity, even with a token', async () => {
    const parts = authParts();
    await using app = await appWith(parts);
    const answer = await call(app.url, { method: 'POST', path: LOGIN, headers: bearer(sign(parts.clock)) });
    expect(answer.body.toString()).toBe('nobody');
  });
});

describe('auth, logging out', () => {
  it('has revoked the token before the service is asked', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    let codeInService = '';
    await using app = await appWith(parts, async (req, res) => {
      const again = parts.authenticator.authenticate(token);
      codeInService = await again.then(
        () => 'accepted',
        (error: TokenError) => error.code,
      );
      res.end(req.path);
    });
    const logout = await call(app.url, { method: 'POST', path: LOGOUT, headers: bearer(token) });
    expect(logout.body.toString()).toBe(LOGOUT);
    expect(codeInService).toBe('token_revoked');
    expect((await call(app.url, { headers: bearer(token) })).status).toBe(401);
    expect(app.errors[0]).toMatchObject({ code: 'token_revoked' });
  });

  it.each(['refuse', 'allow'] as const)(
    'answers 503 when it cannot be stored, and the service is not asked (%s)',
    async (onStoreFailure) => {
      const clock = new ManualClock();
      const store = memoryTokens(clock);
      const readOnly = Object.assign(failingTokens(store), { get: (key: string) => store.get(key) });
      const parts = authParts({ clock, store: readOnly, onStoreFailure });
      await using app = await appWith(parts, neverCalled('the service'));
      const answer = await call(app.url, { method: 'POST', path: LOGOUT, headers: bearer(sign(clock)) });
      expect(answer.status).toBe(503);
    },
  );

  it.each([
    { method: 'POST', path: LOGOUT, means: true },
    { method: 'POST', path: `${LOGOUT}?from=menu`, means: true },
    { method: 'POST', path: `${LOGOUT}/`, means: true },
    { method: 'POST', path: `${LOGOUT}/?from=menu`, means: true },
    { method: 'POST', path: '/userManagement/auth/%6cogout', means: true },
    { method: 'POST', path: '/userManagement%2Fauth/logout%2f', means: true },
    { method: 'POST', path: `${LOGOUT}//`, means: true },
    { method: 'POST', path: '/userManagement//auth/logout', means: true },
    { method: 'POST', path: `${LOGOUT};jsessionid=1`, means: true },
    { method: 'POST', path: '/userManagement/auth;a=b/%4cOGOUT/;c', means: true },
    { method: 'DELETE', path: LOGOUT, means: true },
    { method: 'PUT', path: LOGOUT, means: true },
    { method: 'PATCH', path: `${LOGOUT}/`, means: true },
    { method: 'GET', path: LOGOUT, means: false },
    { method: 'HEAD', path: LOGOUT, means: false },
    { method: 'OPTIONS', path: LOGOUT, means: false },
    { method: 'TRACE', path: LOGOUT, means: false },
    { method: 'POST', path: `${LOGOUT}/all`, means: false },
    { method: 'POST', path: `${LOGOUT}x`, means: false },
    { method: 'POST', path: '/userManagement/auth;/logouts', means: false },
    // Express knows no case, unless it is told to.
    { method: 'POST', path: '/userManagement/auth/Logout', means: true },
    { method: 'POST', path: `${LOGOUT}%zz`, means: false },
    // What cannot be decoded.
    { method: 'POST', path: '/userManagement/auth/%6cogout;%ff', means: true },
    { method: 'POST', path: `${LOGOUT};%`, means: true },
    { method: 'POST', path: `${LOGOUT}%ff`, means: true },
    { method: 'POST', path: '/userManagement/auth/%6cog%80out', means: true },
    { method: 'POST', path: `${LOGOUT}%`, means: false },
    { method: 'POST', path: `/userManagement/auth%2f%256cogout`, means: true },
    { method: 'POST', path: '/userManagement/auth/%C1%ACogout', means: true },
    // Other letters that some compare equal: the long s, the Kelvin sign and the dotless i have ASCII capitals.
    { method: 'POST', path: '/u%C5%BFerManagement/auth/logout', means: true },
    { method: 'POST', path: '/userManagement/auth/%EF%BD%8Cogout', means: true },
    { method: 'POST', path: '/userManagement/auth/logo%CC%81ut', means: true },
    { method: 'POST', path: '/userManagement/auth/%E2%80%8Blogout', means: true },
    // As Windows, Rails and old versions of Spring read names.
    { method: 'POST', path: `${LOGOUT}.`, means: true },
    { method: 'POST', path: `${LOGOUT}%20.%20`, means: true },
    { method: 'POST', path: `${LOGOUT}.json`, means: true },
    { method: 'POST', path: '/userManagement/auth.json/logout', means: false },
    { method: 'POST', path: '/userManagement\\auth%5clogout', means: true },
    { method: 'POST', path: '/userManagement/./auth/x/%2e%2e/logout', means: true },
    { method: 'POST', path: `${LOGOUT}%3fx`, means: true },
    { method: 'POST', path: `${LOGOUT}%00`, means: true },
    { method: 'POST', path: '/userManagement/auth/log%20out', means: false },
    { method: 'POST', path: `/?${LOGOUT}`, means: false },
    // As Rails, Laravel and others let a query name the method.
    { method: 'GET', path: `${LOGOUT}?_method=POST`, means: true },
    { method: 'GET', path: `${LOGOUT}?_method=get&_method=delete`, means: true },
    { method: 'GET', path: `${LOGOUT}?_method=get`, means: false },
    { method: 'GET', path: `${LOGOUT}?my_method=POST`, means: false },
  ])('is what $method $path means: $means', async ({ method, path, means }) => {
    const parts = authParts();
    const headers = bearer(sign(parts.clock));
    await using app = await appWith(parts);
    expect((await call(app.url, { method, path, headers })).status).toBe(200);
    expect((await call(app.url, { headers })).status).toBe(means ? 401 : 200);
  });

  it.each([
    ['GET', 'X-HTTP-Method-Override', 'POST', true],
    ['GET', 'x-http-method-override', ' delete ', true],
    ['GET', 'X-HTTP-Method', 'POST', true],
    ['HEAD', 'X-Method-Override', 'PUT', true],
    ['GET', 'X-HTTP-Method-Override', 'GET', false],
    ['GET', 'X-HTTP-Method-Override', 'HEAD', false],
    ['POST', 'X-HTTP-Method-Override', 'GET', true],
  ])('is what %s with %s: %s means: %s', async (method, name, value, means) => {
    const parts = authParts();
    const headers = bearer(sign(parts.clock));
    await using app = await appWith(parts);
    await call(app.url, { method, path: LOGOUT, headers: { ...headers, [name]: value } });
    expect((await call(app.url, { headers })).status).toBe(means ? 401 : 200);
  });

  it('is what only the path that is set says, its extension included', async () => {
    const parts = authParts();
    await using app = await appWith(parts, whoami, { revokePaths: ['/users/logout.php'] });
    for (const [path, status] of [
      ['/users/logout', 200],
      ['/users/LOGOUT.php', 401],
    ] as const) {
      const headers = bearer(sign(parts.clock, { jti: path }));
      await call(app.url, { method: 'POST', path, headers });
      expect([path, (await call(app.url, { headers })).status]).toEqual([path, status]);
    }
  });

  it('is looked for in time in proportion to the length of the path', () => {
    const isRevoking = revokingRequests([LOGOUT]);
    const costOf = (target: string) => {
      const runs = Array.from({ length: 9 }, () => {
        const before = performance.now();
        isRevoking({ method: 'POST', headers: {} } as IncomingMessage, target);
        return performance.now() - before;
      });
      return Math.min(...runs);
    };
    for (const part of ['/..', ';', '%25', '. ', '%20.', '//', '%c1%ac', '%EF%B7%BA', '%', '\\']) {
      const [short, long] = [4_000, 40_000].map((length) => part.repeat(length / part.length));
      costOf(short as string);
      // Quadratic work would take a hundred times as long.
      const ratios = [1, 2, 3].map(() => costOf(long as string) / costOf(short as string));
      expect([part, Math.min(...ratios) < 50]).toEqual([part, true]);
    }
  });

  it('of a revoked token is refused', async () => {
    const parts = authParts();
    const headers = bearer(sign(parts.clock));
    await using app = await appWith(parts);
    const logout = () => call(app.url, { method: 'POST', path: LOGOUT, headers });
    expect((await logout()).status).toBe(200);
    expect((await logout()).status).toBe(401);
  });
});

describe('auth, a token that a service hands out', () => {
  const sendsWhole = (res: Response, content: Buffer) => void res.end(content);
  const answers: {
    name: string;
    body: (token: string) => object | string | null;
    status?: number;
    encode?: (content: string) => Buffer;
    fields?: Record<string, string>;
    send?: (res: Response, content: Buffer) => void;
    admitted: boolean;
  }[] = [
    {
      name: 'access_token',
      body: (token) => ({ access_token: token, token_type: 'bearer' }),
      admitted: true,
    },
    { name: 'token', body: (token) => ({ user: { id: 1 }, token }), admitted: true },
    {
      name: 'access_token beside another token',
      body: (token) => ({ token: 1, access_token: token }),
      admitted: true,
    },
    { name: '201', status: 201, body: (token) => ({ token }), admitted: true },
    { name: 'a 401', status: 401, body: (token) => ({ token }), admitted: false },
    { name: 'a 302', status: 302, body: (token) => ({ token }), admitted: false },
    { name: 'a 500', status: 500, body: (token) => ({ token }), admitted: false },
    { name: 'a nested token', body: (token) => ({ data: { token } }), admitted: false },
    { name: 'a list', body: (token) => [{ token }], admitted: false },
    { name: 'null', body: () => null, admitted: false },
    { name: 'no JSON', body: (token) => `token=${token}`, admitted: false },
    { name: 'half of it', body: (token) => `{"token":"${token}"`, admitted: false },
    {
      name: 'gzip',
      encode: gzipSync,
      fields: { 'Content-Encoding': 'gzip' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'GZIP',
      encode: gzipSync,
      fields: { 'content-encoding': 'GZIP' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'x-gzip',
      encode: gzipSync,
      fields: { 'Content-Encoding': 'x-gzip' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'br',
      encode: brotliCompressSync,
      fields: { 'Content-Encoding': 'br' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'deflate',
      encode: deflateSync,
      fields: { 'Content-Encoding': 'deflate' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'zstd',
      encode: zstdCompressSync,
      fields: { 'Content-Encoding': 'zstd' },
      body: (token) => ({ token }),
      admitted: true,
    },
    {
      name: 'gzip that is none',
      fields: { 'Content-Encoding': 'gzip' },
      body: (token) => ({ token }),
      admitted: false,
    },
    {
      name: 'an encoding that nobody knows',
      fields: { 'Content-Encoding': 'constructor' },
      body: (token) => ({ token }),
      admitted: false,
    },
    {
      name: 'single bytes',
      body: (token) => ({ token }),
      send(res, content) {
        for (const byte of content) res.write(Buffer.from([byte]));
        res.end();
      },
      admitted: true,
    },
    {
      name: 'text',
      body: (token) => ({ token, name: 'b\u00fcdget' }),
      send: (res, content) => void res.end(content.toString(), 'utf8'),
      admitted: true,
    },
    {
      name: 'a head that was set field by field',
      encode: gzipSync,
      body: (token) => ({ token }),
      send(res, content) {
        res.setHeader('Content-Encoding', 'gzip');
        res.end(content);
      },
      admitted: true,
    },
    {
      name: "Express's own json()",
      body: (token) => ({ token }),
      send: (res, content) => void res.json(JSON.parse(content.toString())),
      admitted: true,
    },
    {
      name: 'a head that left long before',
      body: (token) => ({ token }),
      send(res, content) {
        res.flushHeaders();
        setImmediate(() => res.end(content));
      },
      admitted: true,
    },
    { name: '64 KiB', body: (token) => ({ token, padding: 'x'.repeat(64_000) }), admitted: true },
    { name: 'more than 64 KiB', body: (token) => ({ token, padding: 'x'.repeat(65_536) }), admitted: false },
    {
      name: 'more than 64 KiB in pieces',
      body: (token) => ({ token, padding: 'x'.repeat(200_000) }),
      send(res, content) {
        for (let i = 0; i < content.length; i += 1_000) res.write(content.subarray(i, i + 1_000));
        res.end();
      },
      admitted: false,
    },
    {
      name: 'more than 64 KiB once it is decoded',
      encode: gzipSync,
      fields: { 'Content-Encoding': 'gzip' },
      body: (token) => ({ token, padding: 'x'.repeat(10_000_000) }),
      admitted: false,
    },
  ];

  it.each(answers)('in $name is admitted: $admitted', async (example) => {
    const { body, status = 200, encode = Buffer.from, fields = {}, send = sendsWhole, admitted } = example;
    const parts = authParts({ requireActive: true, clockToleranceMs: 5_000 });
    const token = sign(parts.clock);
    const value = body(token);
    const content = encode(typeof value === 'string' ? value : JSON.stringify(value));
    let issued = 0;
    const onIssued = () => {
      issued += 1;
    };
    const service: RequestHandler = (_req, res) => {
      res.status(status);
      for (const [name, field] of Object.entries(fields)) res.setHeader(name, field);
      send(res, content);
    };
    await using app = await appWith(parts, service, { onIssued });
    const answer = await call(app.url, { method: 'POST', path: LOGIN });
    expect(answer.status).toBe(status);
    expect(answer.body.equals(content)).toBe(true);
    expect(issued).toBe(admitted ? 1 : 0);
    expect((await parts.store.get(`token:${token}`)) !== undefined).toBe(admitted);
  });

  it('of a client that leaves meanwhile keeps no timer', async () => {
    const clock = new ManualClock();
    const begins: RequestHandler = (_req, res) => void res.write('{');
    await using app = await appWith(authParts({ clock }), begins, { clock });
    const req = open(app.url, { method: 'POST', path: LOGIN }).end();
    await eventually('it is held back', () => clock.pending === 1);
    req.destroy();
    await eventually('it is over', () => app.responses[0]?.closed);
    expect(clock.pending).toBe(0);
  });

  it('is known before the client has seen the end of the response', async () => {
    const clock = new ManualClock();
    const store = memoryTokens(clock);
    const stored = deferred();
    const slow = Object.assign(Object.create(store), {
      get: (key: string) => store.get(key),
      async set(key: string, value: string, ttlMs: number) {
        await stored.promise;
        await store.set(key, value, ttlMs);
      },
    });
    const parts = authParts({ clock, store: slow, requireActive: true, clockToleranceMs: 5_000 });
    const token = sign(clock);
    const content = JSON.stringify({ token });
    await using app = await appWith(parts, (_req, res) => {
      res.writeHead(200, { 'Content-Length': content.length });
      res.flushHeaders();
      res.write(content.slice(0, -1));
      res.end(content.slice(-1));
    });
    const req = open(app.url, { method: 'POST', path: LOGIN }).end();
    const answer = await answerTo(req);
    let seen = '';
    answer.on('data', (chunk) => {
      seen += chunk;
    });
    expect(await store.get(`token:${token}`)).toBeUndefined();
    expect(seen).toBe('');
    stored.resolve();
    await eventually('the content', () => seen === content);
    expect(await store.get(`token:${token}`)).toBeDefined();
  });

  it.each([
    { name: 'is not valid', token: 'not.a.token', failing: false },
    { name: 'cannot be stored', token: undefined, failing: true },
  ])('that $name is passed on all the same, and told of', async ({ token, failing }) => {
    const clock = new ManualClock();
    const store = Object.assign(failingTokens(memoryTokens(clock)), { failing });
    const problems: Error[] = [];
    const content = JSON.stringify({ token: token ?? sign(clock) });
    await using app = await appWith(authParts({ clock, store }), (_req, res) => void res.end(content), {
      onIssued: neverCalled('onIssued'),
      onNotAdmitted: (error) => void problems.push(error),
    });
    const answer = await call(app.url, { method: 'POST', path: LOGIN });
    expect(answer.body.toString()).toBe(content);
    expect(problems).toHaveLength(1);
  });

  it('reaches the client though listeners throw', async () => {
    using broken = new BrokenListener();
    const parts = authParts();
    let content = JSON.stringify({ token: sign(parts.clock) });
    await using app = await appWith(parts, (_req, res) => void res.end(content), {
      onIssued: broken.listen,
      onNotAdmitted: broken.listen,
    });
    expect((await call(app.url, { method: 'POST', path: LOGIN })).body.toString()).toBe(content);
    content = '{"token":"garbage"}';
    expect((await call(app.url, { method: 'POST', path: LOGIN })).body.toString()).toBe(content);
  });

  it('does not stand in front of the reply of a deadline that passed meanwhile', async () => {
    const clock = new ManualClock();
    const stored = deferred();
    const store = Object.assign(Object.create(memoryTokens(clock)), { set: () => stored.promise });
    await using app = await appWith(authParts({ clock, store }), (_req, res, next) => {
      res.write('{"token":');
      res.end(`"${sign(clock)}"}`);
      next(Object.assign(new Error('too late'), { status: 504 }));
      setImmediate(stored.resolve);
    });
    const answer = await call(app.url, { method: 'POST', path: LOGIN });
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ message: 'too late' });
  });

  it('is admitted though its owner did not wait for it', async () => {
    const parts = authParts();
    const token = sign(parts.clock);
    await using app = await appWith(parts, (_req, res) => {
      res.once('close', () => void res.end(JSON.stringify({ token })));
    });
    const req = open(app.url, { method: 'POST', path: LOGIN }).end();
    await eventually('the request', () => app.responses.length === 1);
    req.destroy();
    await eventually('the token', () => parts.store.get(`token:${token}`));
  });

  it('tells writers when they may go on', async () => {
    const told: string[] = [];
    const parts = authParts();
    await using app = await appWith(parts, (_req, res) => {
      const token = sign(parts.clock);
      res.write('{"token":', () => {
        told.push('write');
        res.end(`"${token}"}`, () => void told.push('end'));
      });
    });
    await call(app.url, { method: 'POST', path: REGISTER });
    await eventually('both', () => told.length === 2);
    expect(told).toEqual(['write', 'end']);
  });
});
