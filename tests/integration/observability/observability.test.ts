import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  NEVER_LOGGED,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import {
  saysAndResets,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const token = tokenFor('ann');
const authorization = `Authorization: Bearer ${token}`;

let upstream: Upstream;
let cut: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream();
  cut = await startRawUpstream(saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun'));
  gateway = await startGateway({
    services: { '/budgeting': [upstream], '/cut': [cut], '/userManagement': [upstream] },
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream[Symbol.asyncDispose]();
  await cut[Symbol.asyncDispose]();
});

const line = (requestId: string | undefined) =>
  eventually('its access line', () => gateway.logLines().find((found) => found.requestId === requestId));

describe('the request id', () => {
  it.each(['a', 'abc-123', 'A.b_c:d/e+f=', 'x'.repeat(128)])('%s of a service is kept', async (id) => {
    const answer = await sendRaw(
      gateway.internal,
      request('GET /internal/budgeting/x', `X-Request-Id: ${id}`),
    );
    expect(answer.field('X-Request-Id')).toBe(id);
    expect(fieldValue(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).toBe(id);
    expect(await line(id)).toMatchObject({ status: 200, port: 'internal', replica: upstream.url.hostname });
  });

  it.each(['', 'x'.repeat(129), 'a b', 'a"b', 'a\x80', '<script>', 'a,b', '{}'])(
    '%j of a service is replaced',
    async (id) => {
      const answer = await sendRaw(
        gateway.internal,
        request('GET /internal/budgeting/x', `X-Request-Id: ${id}`),
      );
      expect(answer.field('X-Request-Id')).toMatch(UUID);
      expect(fieldValue(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).toBe(
        answer.field('X-Request-Id'),
      );
    },
  );

  it('is never the one that a user sends', async () => {
    const answer = await sendRaw(
      gateway.external,
      request('GET /budgeting/x', authorization, 'X-Request-Id: mine'),
    );
    expect(answer.field('X-Request-Id')).toMatch(UUID);
    expect(fieldValue(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).toMatch(UUID);
  });

  it('is replaced when a service sends two', async () => {
    const answer = await sendRaw(
      gateway.internal,
      request('GET /internal/budgeting/x', 'X-Request-Id: one', 'X-Request-Id: two'),
    );
    expect(answer.fields.filter(([name]) => name === 'X-Request-Id')).toHaveLength(1);
    expect(answer.field('X-Request-Id')).toMatch(UUID);
  });
});

describe('the access line', () => {
  it('tells who asked for what, who answered, how, and how fast', async () => {
    const answer = await fetch(`${gateway.external}/budgeting/api/x?secret=${NEVER_LOGGED}`, {
      headers: { ...bearer(token), 'X-Secret': NEVER_LOGGED, Cookie: `session=${NEVER_LOGGED}` },
    });
    expect(await line(answer.headers.get('X-Request-Id') ?? '')).toEqual({
      level: 'info',
      timestamp: expect.any(String),
      message: expect.stringMatching(
        /^GET \/budgeting\/api\/x 200 in \d+\.\d ms \(Load balancer selected http:\/\/127\.0\.0\.1:\d+\)$/,
      ),
      requestId: answer.headers.get('X-Request-Id'),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      port: 'external',
      service: '/budgeting',
      method: 'GET',
      status: 200,
      seconds: expect.any(Number),
      replica: upstream.url.hostname,
      subject: 'ann',
      cache: 'miss',
      permitMs: expect.any(Number),
      authMs: expect.any(Number),
      cacheMs: expect.any(Number),
      upstreamMs: expect.any(Number),
    });
  });

  it('is one for each request', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const answer = await fetch(`${gateway.internal}/internal/budgeting/${n}`);
      ids.push(answer.headers.get('X-Request-Id') ?? '');
    }
    await line(ids.at(-1));
    const lines = gateway.logLines().filter(({ requestId }) => ids.includes(String(requestId)));
    expect(lines.map(({ requestId }) => requestId)).toEqual(ids);
  });

  it('says why a response was cut', async () => {
    const answer = await sendRaw(gateway.internal, request('GET /internal/cut/x'));
    expect(await line(answer.field('X-Request-Id'))).toMatchObject({
      status: 200,
      code: 'upstream_unreachable',
    });
  });

  it('says JWT when that was the reason', async () => {
    const answer = await sendRaw(gateway.external, request('GET /budgeting/x'));
    const { message } = await line(answer.field('X-Request-Id'));
    expect(message).toContain('JWT refused: token_missing');
  });

  it('cannot be forged with what a client sends', async () => {
    const answer = await sendRaw(
      gateway.external,
      request('GET /budgeting/x%0a{"level":"error"}', authorization, 'X-Request-Id: a"b'),
    );
    expect(answer.status).toBe(400);
    for (const { level } of gateway.logLines()) expect(level).not.toBe('error');
  });
});

describe('no log line', () => {
  // Every gateway of every test is looked through for these when it stops: see TestGateway.stop.
  it('holds a token, wherever a client puts one', async () => {
    const bad = keepSecret('bm90LWEtdG9rZW4tYXQtYWxs.e30.c2ln');
    const places: [string, ...string[]][] = [
      ['GET /budgeting/x', `Authorization: Bearer ${bad}`],
      ['GET /budgeting/x', `Authorization: Basic ${bad}`],
      [`GET /budgeting/x?access_token=${token}`],
      [`GET /budgeting/x?access_token=${token}`, authorization],
      ['GET /budgeting/x', authorization, `Authorization: Bearer ${bad}`],
      ['POST /userManagement/auth/logout', authorization],
      ['GET /budgeting/x', authorization],
    ];
    for (const [first, ...fields] of places) await sendRaw(gateway.external, request(first, ...fields));
    await sendRaw(gateway.external, `GET /budgeting/x?t=${token} HTTP/1.1\r\nBroken ${token}\r\n\r\n`);
    await sendRaw(gateway.internal, request('GET /internal/budgeting/x', authorization));
  });
});

it('counts every request once, under its own labels', async () => {
  await using own = await startGateway({ services: { '/budgeting': [upstream] } });
  await fetch(`${own.external}/budgeting/x`, { headers: bearer(token) });
  await fetch(`${own.external}/budgeting/x`);
  await fetch(`${own.internal}/internal/budgeting/x`, { method: 'POST' });
  await fetch(`${own.internal}/internal/nobody`);
  const count = (labels: Record<string, string>) => own.metric('gateway_requests_total', labels);
  expect(await count({ service: '/budgeting', method: 'GET', status: '401', port: 'external' })).toBe(1);
  expect(await count({ service: '/budgeting', method: 'POST', status: '200', port: 'internal' })).toBe(1);
  expect(await count({ service: 'none', status: '404' })).toBe(1);
  expect(await count({})).toBe(4);
  expect(await own.metric('gateway_request_duration_seconds', { service: '/budgeting' })).toBeGreaterThan(0);
});

it('tells responses of services from those of the gateway', async () => {
  await using failing = await startUpstream();
  await using own = await startGateway({ services: { '/budgeting': [upstream], '/failing': [failing] } });
  const count = (origin: string, status: string) => own.metric('gateway_requests_total', { origin, status });
  await fetch(`${own.external}/budgeting/x`, { headers: bearer(token) });
  await fetch(`${own.external}/budgeting/x`, { headers: bearer(token) });
  await fetch(`${own.external}/budgeting/x`);
  await failing[Symbol.asyncDispose]();
  await fetch(`${own.internal}/internal/failing/x`);
  await sendRaw(own.external, 'nonsense\r\n\r\n');
  await eventually('all are counted', async () => (await own.metric('gateway_requests_total')) === 5);
  // The second came from the cache: it is the service's answer all the same.
  expect(await count('upstream', '200')).toBe(2);
  expect(await count('gateway', '401')).toBe(1);
  expect(await count('gateway', '502')).toBe(1);
  expect(await count('gateway', '400')).toBe(1);
  expect(await own.metric('gateway_requests_total', { origin: 'none' })).toBe(0);
});

it('shows what may come at 0, so that a rate sees the first of it', async () => {
  await using own = await startGateway({ services: { '/budgeting': [upstream] } });
  const text = await (await fetch(`${own.internal}/metrics`)).text();
  const instance = upstream.url.hostname;
  for (const series of [
    'gateway_requests_total{service="/budgeting",method="GET",status="503",port="external",origin="gateway"}',
    'gateway_request_timeouts_total{service="/budgeting",port="internal"}',
    'gateway_errors_total{service="/budgeting",code="circuit_open",port="external"}',
    'gateway_jwt_validation_errors_total{reason="token_revoked"}',
    `gateway_circuit_breaker_trips_total{service="/budgeting",instance="${instance}"}`,
    `gateway_lb_requests_total{service="/budgeting",instance="${instance}"}`,
    'gateway_concurrency_limit_reached_total{service="/budgeting"}',
  ]) {
    expect(text).toContain(`\n${series} 0\n`);
  }
});
