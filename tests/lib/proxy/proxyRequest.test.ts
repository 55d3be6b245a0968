import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { fieldValues } from '../../../lib/http/fields.ts';
import { connectionOptions } from '../../../lib/proxy/hopByHop.ts';
import { proxy } from '../../../lib/proxy/middleware.ts';
import { Transport } from '../../../lib/proxy/transport.ts';
import { call } from '../../support/clients/client.ts';
import { sendRaw } from '../../support/clients/rawClient.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { type ForwardAppOptions, forwardApp } from '../../support/gateway/forwardApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { type Received, startUpstream } from '../../support/upstreams/upstream.ts';

/** What the service gets of a request with these bytes. */
async function received(bytes: string, options: ForwardAppOptions = {}): Promise<Received> {
  await using upstream = await startUpstream();
  await using app = await forwardApp(upstream.url, options);
  const answer = await sendRaw(app.url.origin, bytes);
  expect([answer.status, app.errors]).toEqual([200, []]);
  return upstream.requests[0] as Received;
}

function get(...lines: readonly string[]): string {
  return `${['GET /x HTTP/1.1', 'Host: gateway', ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`;
}

/** The client's own field lines: without those that the gateway adds to every request, and the host. */
const ADDED = /^(host|via|x-request-id|x-forwarded-.*|forwarded|connection)$/i;
function passedOn({ fields }: Received): string[] {
  return fields.filter((_, i) => !ADDED.test(fields[i - (i % 2)] as string));
}

function valuesOf({ fields }: Received, name: string): string[] {
  return fieldValues(fields, name.toLowerCase());
}

/** Runs `fill` on the exchange, as a middleware in front would. */
function prepared(fill: (exchange: ReturnType<typeof exchangeOf>) => void): RequestHandler {
  return (_req, res, next) => {
    fill(exchangeOf(res));
    next();
  };
}

describe('proxy, the request line', () => {
  it.each([
    '/',
    '/a/b/c?d=e&f=%20+',
    '/?',
    '/a?b?c#',
    '/%61%2Fb%2e',
    '//double//slash',
    '/a/../b/./c',
    "/!$&'()*+,;=:@~",
    `/${'x'.repeat(4_000)}`,
  ])('carries %s byte for byte', async (target) => {
    const { target: arrived } = await received(get().replace('/x', () => target));
    expect(arrived).toBe(target);
  });

  it.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'TRACE'])(
    'carries %s',
    async (method) => {
      await using upstream = await startUpstream();
      await using app = await forwardApp(upstream.url);
      await call(app.url, { method });
      expect(upstream.requests[0]?.method).toBe(method);
    },
  );

  it('carries the target that was resolved for the service', async () => {
    const before = prepared((exchange) => {
      exchange.upstreamTarget = '/api/%61?b=c';
      exchange.prefix = '/budgeting';
    });
    const request = await received(get(), { before });
    expect(request.target).toBe('/api/%61?b=c');
    expect(valuesOf(request, 'X-Forwarded-Prefix')).toEqual(['/budgeting']);
  });
});

describe('proxy, the fields of a request', () => {
  it('survive with their order, case and duplicates', async () => {
    const lines = [
      'X-Odd-CASE: a',
      'x-dup: 1',
      'Accept: text/html, */*;q=0.1',
      'X-Dup: 2',
      'Cookie: a=1; b=2',
      'X-Empty:',
    ];
    const request = await received(get(...lines));
    expect(passedOn(request)).toEqual([
      'X-Odd-CASE',
      'a',
      'x-dup',
      '1',
      'Accept',
      'text/html, */*;q=0.1',
      'X-Dup',
      '2',
      'Cookie',
      'a=1; b=2',
      'X-Empty',
      '',
    ]);
  });

  it('survive byte for byte', async () => {
    const request = await received(get('X-Latin: caf\u00e9 \u00ff'));
    expect(valuesOf(request, 'X-Latin')).toEqual(['caf\u00e9 \u00ff']);
  });

  it('lose those that speak of one connection only', async () => {
    const request = await received(
      get(
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'TE: gzip',
        'Trailer: X-T',
        'Proxy-Authorization: Basic a',
        'Proxy-Authenticate: Basic',
        'HTTP2-Settings: a',
        'X-Kept: yes',
      ),
    );
    expect(passedOn(request)).toEqual(['X-Kept', 'yes']);
  });

  it('lose those that Connection names', async () => {
    const request = await received(
      get(
        'Connection: X-One, x-TWO ,',
        'connection: X-Three',
        'X-One: 1',
        'X-Two: 2',
        'x-three: 3',
        'X-Four: 4',
      ),
    );
    expect(passedOn(request)).toEqual(['X-Four', '4']);
  });

  // CVE-2021-32813, CVE-2026-33805: what the gateway adds is not the client's to remove.
  it.each(['X-Auth-Subject', 'X-Forwarded-For', 'X-Request-Id', 'Host'])(
    'keep %s though Connection names it',
    async (name) => {
      const before = prepared((exchange) => {
        exchange.identity = { subject: 'alice', key: 'alice', claims: 'e30' };
      });
      const request = await received(get(`Connection: ${name}`), { before });
      expect(valuesOf(request, name)).toHaveLength(1);
    },
  );

  it('keep a length that Connection names', async () => {
    const bytes =
      'POST /x HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, close\r\nContent-Length: 2\r\n\r\nok';
    const request = await received(bytes);
    expect(valuesOf(request, 'Content-Length')).toEqual(['2']);
    expect(request.body.toString()).toBe('ok');
  });

  it('lose Expect, which was answered', async () => {
    const bytes =
      'POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok';
    const request = await received(bytes);
    expect(valuesOf(request, 'Expect')).toEqual([]);
    expect(request.body.toString()).toBe('ok');
  });

  it('name the host that the client asked for', async () => {
    const request = await received(get());
    expect(valuesOf(request, 'Host')).toEqual(['gateway']);
  });

  it('name the replica when an HTTP/1.0 client asks for no host', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    await sendRaw(app.url.origin, 'GET /x HTTP/1.0\r\n\r\n');
    expect(valuesOf(upstream.requests[0] as Received, 'Host')).toEqual([upstream.url.host]);
  });
});

describe('connectionOptions', () => {
  it.each([
    { connection: undefined, out: [] },
    { connection: 'keep-alive', out: [] },
    { connection: 'close', out: [] },
    { connection: 'close, X-One,,\tX-Two ', out: ['close', 'x-one', '', 'x-two'] },
    { connection: 'Host, Content-Length, X-One', out: ['x-one'] },
  ])('of $connection are $out', ({ connection, out }) => {
    expect([...connectionOptions(connection)]).toEqual(out);
  });
});

describe('proxy removes what only the gateway may say', () => {
  it.each([
    'X-Auth-Subject',
    'x-auth-subject',
    'X_Auth_Subject',
    'X-AUTH_SUBJECT',
    'X-Auth-Claims',
    'X-Auth-Roles',
    'X_AUTH_ANYTHING',
    'Authorization',
    'authorization',
  ])('%s', async (name) => {
    expect(valuesOf(await received(get(`${name}: mallory`)), name)).toEqual([]);
  });

  it.each([
    'Forwarded',
    'X-Forwarded-For',
    'X_Forwarded_For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'x-forwarded-prefix',
    'X-Forwarded-Server',
    'X-Real-IP',
    'X-Request-Id',
    'X_Request_Id',
    'X-Request-Timeout-Ms',
  ])('%s', async (name) => {
    const { fields } = await received(get(`${name}: mallory`));
    expect(fields).not.toContain('mallory');
    expect(fields.filter((field) => field === name && name.includes('_'))).toEqual([]);
  });

  it('but leaves identity, and names of any kind, to callers that may speak for themselves', async () => {
    const lines = ['Authorization: Bearer a', 'X-Auth-Subject: service', 'my_own.field: 1'];
    const request = await received(get(...lines), { ownsIdentity: false });
    expect(valuesOf(request, 'my_own.field')).toEqual(['1']);
    expect(valuesOf(request, 'Authorization')).toEqual(['Bearer a']);
    expect(valuesOf(request, 'X-Auth-Subject')).toEqual(['service']);
  });
});

describe('proxy adds', () => {
  it('the name of the request', async () => {
    const before = prepared((exchange) => {
      exchange.requestId = 'r-1';
    });
    expect(valuesOf(await received(get('X-Request-Id: mine'), { before }), 'X-Request-Id')).toEqual(['r-1']);
  });

  it.each([
    { subject: 'alice', out: 'alice' },
    { subject: 'alice smith', out: 'alice smith' },
    { subject: ' alice', out: '%20alice' },
    { subject: 'b\u00fcdget', out: 'b%C3%BCdget' },
    { subject: 'a\r\nX-Evil: 1', out: 'a%0D%0AX-Evil%3A%201' },
    { subject: '\u{1F4B0}', out: '%F0%9F%92%B0' },
  ])('who is calling: $subject', async ({ subject, out }) => {
    const before = prepared((exchange) => {
      exchange.identity = { subject, key: subject, claims: 'eyJzdWIiOiJhIn0' };
    });
    const request = await received(get('X-Auth-Subject: mallory'), { before });
    expect(valuesOf(request, 'X-Auth-Subject')).toEqual([out]);
    expect(valuesOf(request, 'X-Auth-Claims')).toEqual(['eyJzdWIiOiJhIn0']);
    expect(valuesOf(request, 'X-Evil')).toEqual([]);
  });

  it.each([
    { name: 'what is left', leftMs: 2_500.4, out: '2500' },
    { name: 'at least 1', leftMs: -5, out: '1' },
  ])('$name of the deadline', async ({ leftMs, out }) => {
    const clock = new ManualClock();
    const before = prepared((exchange) => {
      exchange.deadlineAtMs = clock.now() + leftMs;
    });
    expect(valuesOf(await received(get(), { before, clock }), 'X-Request-Timeout-Ms')).toEqual([out]);
  });

  it('where the request came from, by its socket', async () => {
    const request = await received(
      get('X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https', 'Forwarded: for=6.6.6.6'),
    );
    expect(valuesOf(request, 'X-Forwarded-For')).toEqual(['127.0.0.1']);
    expect(valuesOf(request, 'X-Forwarded-Host')).toEqual(['gateway']);
    expect(valuesOf(request, 'X-Forwarded-Proto')).toEqual(['http']);
    expect(valuesOf(request, 'Forwarded')).toEqual(['for=127.0.0.1;host=gateway;proto=http']);
  });

  it('that to what a trusted proxy says', async () => {
    const request = await received(
      get(
        'X-Forwarded-For: 6.6.6.6, 7.7.7.7',
        'X-Forwarded-For: 8.8.8.8',
        'X-Forwarded-Host: shop.example',
        'X-Forwarded-Proto: https',
        'Forwarded: for=6.6.6.6;proto=https',
      ),
      {
        trustsPeer: () => true,
      },
    );
    expect(valuesOf(request, 'X-Forwarded-For')).toEqual(['6.6.6.6, 7.7.7.7, 8.8.8.8, 127.0.0.1']);
    expect(valuesOf(request, 'X-Forwarded-Host')).toEqual(['shop.example']);
    expect(valuesOf(request, 'X-Forwarded-Proto')).toEqual(['https']);
    expect(valuesOf(request, 'Forwarded')).toEqual([
      'for=6.6.6.6, for=7.7.7.7, for=8.8.8.8, for=127.0.0.1;host=shop.example;proto=https',
    ]);
  });

  it('a host with a port in quotes', async () => {
    const request = await received(get().replace('Host: gateway', 'Host: gateway:8000'));
    expect(valuesOf(request, 'Forwarded')).toEqual(['for=127.0.0.1;host="gateway:8000";proto=http']);
  });
});

describe('forward', () => {
  it('refuses a request with two hosts', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    const answer = await sendRaw(app.url.origin, get('Host: other'));
    expect(answer.status).toBe(400);
    expect(upstream.requests).toEqual([]);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('sends to its target when no balancer has chosen a replica', async () => {
    await using upstream = await startUpstream();
    const transport = new Transport({ connectTimeoutMs: 1_000 });
    const target = { key: 'only', id: 'only', url: upstream.url };
    await using app = await bareApp(proxy({ transport, target, idleTimeoutMs: 1_000 }));
    expect((await call(app.url)).status).toBe(200);
    expect(app.exchanges[0]?.attempt?.target.id).toBe('only');
    await transport.destroy();
  });

  it('says what is missing when it has neither', async () => {
    const transport = new Transport({ connectTimeoutMs: 1_000 });
    await using app = await bareApp(proxy({ transport, idleTimeoutMs: 1_000 }));
    expect((await call(app.url)).status).toBe(500);
    expect(app.errors[0]?.message).toBe(
      'proxy: no load balancer chose a replica and no target option was given',
    );
  });

  it('reaches a replica at an IPv6 address', async () => {
    await using upstream = await startUpstream(undefined, { host: '::1' });
    await using app = await forwardApp(upstream.url);
    expect((await call(app.url)).body.toString()).toBe('ok');
  });

  it('keeps connections to a replica for later requests', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    for (let i = 0; i < 10; i += 1)
      await call(app.url, { method: i % 2 ? 'POST' : 'GET', body: i % 2 ? 'a' : '' });
    expect(new Set(upstream.requests.map(({ connection }) => connection)).size).toBe(1);
  });

  it('forgets a replica that has left', async () => {
    await using upstream = await startUpstream();
    const transport = new Transport({ connectTimeoutMs: 1_000 });
    await using app = await bareApp(
      proxy({ transport, target: { key: 'a', id: 'a', url: upstream.url }, idleTimeoutMs: 1_000 }),
    );
    await call(app.url);
    expect(upstream.open).toBe(1);
    await transport.forget(upstream.url);
    await transport.forget(upstream.url);
    expect((await call(app.url)).status).toBe(200);
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 2]);
    await transport.destroy();
  });

  it('knows when a request may have reached the replica', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    await call(app.url);
    expect(app.exchanges[0]?.attempt?.sent).toBe(true);
    expect(app.outcomes).toEqual([{ kind: 'completed' }]);
  });
});
