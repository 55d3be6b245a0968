import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, jest } from '@jest/globals';
import { isAmbiguous, MAX_TARGET_LENGTH, originForm } from '../../gateway/http/target.ts';
import { revokingRequests } from '../../lib/auth/revocation/revokePaths.ts';
import { readToken } from '../../lib/auth/sources/bearer.ts';
import { takeTokens } from '../../lib/auth/sources/queryToken.ts';
import { cache } from '../../lib/cache/middleware.ts';
import { isNotModified, isSameRepresentation } from '../../lib/cache/rules/conditional.ts';
import { parseDirectives, targetedControl } from '../../lib/cache/rules/directives.ts';
import { parseHttpDate } from '../../lib/cache/rules/httpDate.ts';
import { rangeOf } from '../../lib/cache/rules/range.ts';
import { requestTerms } from '../../lib/cache/rules/requestTerms.ts';
import { selectingKey, varyNames } from '../../lib/cache/rules/vary.ts';
import { EVERYONE, entryKey, epochKey } from '../../lib/cache/stored/key.ts';
import { Cors } from '../../lib/cors/cors.ts';
import { allowsOrigin } from '../../lib/cors/origins.ts';
import { Exchange } from '../../lib/exchange/exchange.ts';
import { rateLimitKey } from '../../lib/http/clientAddress.ts';
import { takeCookies } from '../../lib/http/cookies.ts';
import { overridesMethod } from '../../lib/http/methodOverride.ts';
import { shownPath } from '../../lib/http/path.ts';
import { subprotocols } from '../../lib/http/subprotocol.ts';
import { withoutSpace } from '../../lib/http/whiteSpace.ts';
import { connectionOptions } from '../../lib/proxy/hopByHop.ts';
import { requestFieldsFor } from '../../lib/proxy/request/requestFields.ts';
import { RouteTable } from '../../lib/routing/routeTable.ts';
import { readTrace } from '../../lib/tracing/traceContext.ts';
import { asOrigin } from '../support/asOrigin.ts';
import { call } from '../support/clients/client.ts';
import { bareApp } from '../support/gateway/bareApp.ts';
import { ManualClock } from '../support/manualClock.ts';
import { nowhere } from '../support/nowhere.ts';
import { memoryStore } from '../support/stores/memoryStore.ts';

jest.setTimeout(60_000);

/** As long as a whole head may become. */
const CHARACTERS = 64 * 1024;
/** In quadratic time 64 KiB take seconds; in linear time a millisecond or two. */
const MOST_MS = 100;
/** In quadratic time 15,000 blanks take 30 to 200 ms. */
const MOST_HIT_MS = 15;
const NOW_MS = Date.UTC(2026, 0, 15, 12);

/** What makes pattern after pattern look far ahead, or back, in vain. */
const FILLS = [
  ' ',
  '\t ',
  ',',
  ' ,',
  ', ',
  '"',
  '\\',
  '\\"',
  '=',
  '="',
  'a',
  'a=',
  'a,',
  'a="b\\',
  'W/',
  '1',
  '-',
  '.',
  ';',
  '/',
  '//',
  '%2e',
  '&',
  '&_method=GET',
  '?',
  '%5fmethod=',
  '/.',
  ':',
  '::',
  '[',
  '\u00a0',
  'eyJ',
];

const inputs = FILLS.flatMap((fill) => {
  const filled = fill.repeat(Math.ceil(CHARACTERS / fill.length)).slice(0, CHARACTERS);
  return [
    filled,
    `a${filled}`,
    `${filled}a`,
    `x=${filled}x`,
    `"${filled}`,
    `bytes=${filled}x`,
    `/${filled}?`,
  ];
});

function request(name: string, value: string): IncomingMessage {
  const headers = { [name.toLowerCase()]: value, host: 'gateway.test' };
  return {
    headers,
    rawHeaders: ['Host', 'gateway.test', name, value],
    httpVersion: '1.1',
    method: 'GET',
    socket: { remoteAddress: '127.0.0.1' },
  } as unknown as IncomingMessage;
}

const requestFields = requestFieldsFor({ trustsPeer: () => true, ownsIdentity: true, via: 'gateway' });
const forwarded = (name: string) => (value: string) =>
  void requestFields(request(name, value), new Exchange(nowhere), NOW_MS);

const routes = new RouteTable(
  ['/**', '/*/*/a', '/a/:b/**', '/A/*'].map((path) => ({
    name: path,
    match: { path },
    spelling: 'any' as const,
  })),
);

const hostRoutes = new RouteTable(
  ['*.a', '*.b.a', 'a'].map((host) => ({
    name: host,
    match: { host, path: '/' },
    spelling: 'exact' as const,
  })),
);

const preflights = new Cors({
  origins: ['a'],
  credentials: false,
  methods: ['GET'],
  allowHeaders: undefined,
  exposeHeaders: [],
  maxAgeSeconds: 0,
});
const toPage = { req: { headers: { origin: 'a' } } } as unknown as ServerResponse;

const isRevoking = revokingRequests(['/auth/logout']);
const isLogout = (path: string) => isRevoking({ method: 'POST', headers: {} } as IncomingMessage, path);

const isNone = () => false;
/** Longer targets are refused before anybody reads them. */
const inTarget = (value: string) => value.slice(0, MAX_TARGET_LENGTH);

/** Everything that reads what a client, or a service, may make long. */
const READERS: Readonly<Record<string, (value: string) => unknown>> = {
  'Cache-Control': parseDirectives,
  'Cache-Control of a request': (value) => requestTerms(request('Cache-Control', value)),
  Pragma: (value) => requestTerms(request('Pragma', value)),
  'CDN-Cache-Control': targetedControl,
  'If-None-Match': (value) => isNotModified({ 'if-none-match': value }, { etag: '"v1"' }, NOW_MS),
  'If-None-Match of a long ETag': (value) =>
    isNotModified({ 'if-none-match': value }, { etag: value }, NOW_MS),
  'If-Modified-Since': (value) => isNotModified({ 'if-modified-since': value }, {}, NOW_MS),
  'If-Range': (value) => isSameRepresentation(value, { etag: '"v1"' }, NOW_MS),
  Date: (value) => parseHttpDate(value, NOW_MS),
  Range: (value) => rangeOf(value, 1_000),
  Vary: varyNames,
  'a field under Vary': (value) =>
    selectingKey(['origin'], { rawHeaders: ['Origin', value], identity: undefined }),
  'a list under Vary': (value) =>
    selectingKey(['accept-language'], { rawHeaders: ['Accept-Language', value], identity: undefined }),
  'Cookie under Vary': (value) =>
    selectingKey(['cookie'], { rawHeaders: ['Cookie', value], identity: undefined }),
  Connection: connectionOptions,
  'Sec-WebSocket-Protocol': subprotocols,
  'tokens in a query': (value) => takeTokens(`?${value}`, 0),
  'Accept beside a token in the query': (value) =>
    readToken(request('Accept', value), {
      takenTokens: [{ from: 'query', name: 'access_token', value: 'a' }],
      upgradeHead: undefined,
    }),
  'cookies beside a token': (value) => takeCookies(value, 'session'),
  traceparent: (value) => readTrace(value, ''),
  tracestate: (value) => readTrace('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', value),
  'a field that is passed on': forwarded('X-Own'),
  'X-Forwarded-For': forwarded('X-Forwarded-For'),
  'X-Forwarded-Host': forwarded('X-Forwarded-Host'),
  Forwarded: forwarded('Forwarded'),
  Origin: allowsOrigin(['https://*.faf.example', 'a*a', 'https://app.faf.example']),
  'Access-Control-Request-Headers': (names) =>
    preflights.preflightFields({ headers: { origin: 'a', 'access-control-request-headers': names } }),
  'Vary of a response to a page': (value) => preflights.edit(['Vary', value], 200, toPage),
  'an address': rateLimitKey,
  'a target': (value) => [isAmbiguous(value), originForm(value, 'gateway.test')],
  'the route of a target': (value) =>
    routes.find({ method: 'GET', headers: {} }, `/${value}`.slice(0, MAX_TARGET_LENGTH)),
  'the route of a host': (host) => hostRoutes.find({ method: 'GET', headers: { host } }, '/'),
  'a target in the log': shownPath,
  'a target in absolute form': (value) => originForm(`http://gateway.test${value}`, 'gateway.test'),
  'the key of a target': (target) => {
    const resource = { service: '/a', authority: target, target };
    return [entryKey({ resource, audience: EVERYONE, epoch: '', variant: '' }), epochKey('/a', target)];
  },
  'white space': withoutSpace,
  'a path that may be a logout': isLogout,
  'a field that overrides the method': (value) =>
    overridesMethod({ headers: { 'x-http-method': value } }, '/', isNone),
  'a query that may override the method': (value) =>
    overridesMethod({ headers: {} }, `/?${inTarget(value)}%`, isNone),
  'a parameter that overrides the method': (value) =>
    overridesMethod({ headers: {} }, `/?%5fmethod=${inTarget(value)}`, isNone),
  'a parameter with blanks before its name': (value) =>
    overridesMethod({ headers: {} }, `/?${inTarget(value)}_method`, isNone),
};

/** The least of a few: another process may take the processor away at any time. */
function leastMs(work: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5 && least > MOST_MS / 10; n += 1) {
    const startedAt = performance.now();
    work();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

describe('64 KiB are read in linear time, whatever they are:', () => {
  it.each(Object.entries(READERS))('%s', (_name, read) => {
    const slow = inputs
      .map((input) => ({ input: `${input.slice(0, 12)}...`, ms: leastMs(() => read(input)) }))
      .filter(({ ms }) => ms > MOST_MS);
    expect(slow).toEqual([]);
  });
});

it('a path may have any number of marks on its letters', () => {
  // Not in the order that Unicode has for them, and four times as many as a head has room for.
  const path = `/auth/a${'%CC%80'.repeat(20_000)}${'%CC%96'.repeat(20_000)}`;
  expect(leastMs(() => isLogout(path))).toBeLessThan(MOST_MS);
});

it('a hit does not take longer for blanks in a field that Vary names', async () => {
  const clock = new ManualClock();
  const handler = cache({
    store: memoryStore(clock),
    origin: asOrigin((_req, res) => void res.writeHead(200, { Vary: 'Origin, Accept' }).end('ok')),
    defaultTtlMs: 30_000,
    maxBodyBytes: 1_000,
    clock,
  });
  await using app = await bareApp(handler);
  const Origin = `a${' '.repeat(15_000)}b`;
  expect((await call(app.url, { headers: { Origin } })).headers['x-cache']).toBe('MISS');
  const tookMs: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    const startedAt = performance.now();
    expect((await call(app.url, { headers: { Origin } })).headers['x-cache']).toBe('HIT');
    tookMs.push(performance.now() - startedAt);
  }
  expect(Math.min(...tookMs)).toBeLessThan(MOST_HIT_MS);
});
