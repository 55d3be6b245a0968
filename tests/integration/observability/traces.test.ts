import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValues } from '../../../lib/http/fields.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const GIVEN = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: 'rojo=1,congo=2' };
const headers = bearer(tokenFor('ann'));

let upstream: Upstream;
let gateway: TestGateway;
let behindProxy: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream();
  const services = { '/budgeting': [upstream] };
  const env = { GET_CACHE_TTL: 'off', SERVER_TIMING: 'true' };
  gateway = await startGateway({ services, env: { GET_CACHE_TTL: 'off' } });
  behindProxy = await startGateway({ services, env: { ...env, TRUSTED_PROXIES: '127.0.0.1' } });
});
afterAll(async () => {
  await gateway.stop();
  await behindProxy.stop();
  await upstream[Symbol.asyncDispose]();
});

/** What the service was told of the trace, and what the access line says. */
async function traceOf(asked: TestGateway, url: string, init: RequestInit) {
  const answer = await fetch(url, init);
  await answer.text();
  const { fields } = upstream.requests.at(-1) ?? { fields: [] };
  const id = answer.headers.get('X-Request-Id');
  const line = await eventually('the line', () => asked.logLines().find(({ requestId }) => requestId === id));
  const [traceparent = '', ...more] = fieldValues(fields, 'traceparent');
  expect(more).toEqual([]);
  return { traceparent, tracestate: fieldValues(fields, 'tracestate'), logged: line.traceId };
}

describe('a trace', () => {
  it('is continued on the internal port', async () => {
    const trace = await traceOf(gateway, `${gateway.internal}/internal/budgeting/x`, { headers: GIVEN });
    expect(trace).toEqual({ traceparent: GIVEN.traceparent, tracestate: [GIVEN.tracestate], logged: TRACE });
  });

  it('is continued on the external port when a trusted proxy says so', async () => {
    const init = { headers: { ...headers, ...GIVEN } };
    const trace = await traceOf(behindProxy, `${behindProxy.external}/budgeting/x`, init);
    expect(trace).toEqual({ traceparent: GIVEN.traceparent, tracestate: [GIVEN.tracestate], logged: TRACE });
  });

  it.each([
    { from: 'a user', port: 'external', given: GIVEN },
    { from: 'a user who says nothing', port: 'external', given: {} },
    { from: 'a service that says nothing', port: 'internal', given: {} },
    { from: 'a service that talks nonsense', port: 'internal', given: { ...GIVEN, traceparent: 'nonsense' } },
  ] as const)('is begun for $from', async ({ port, given }) => {
    const url = port === 'external' ? gateway.external : `${gateway.internal}/internal`;
    const init = { headers: { ...headers, ...given } };
    const { traceparent, tracestate, logged } = await traceOf(gateway, `${url}/budgeting/x`, init);
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
    expect(traceparent).toContain(`-${logged}-`);
    expect(logged).not.toBe(TRACE);
    expect(tracestate).toEqual([]);
  });
});

describe('of requests that no service is called for', () => {
  let caching: TestGateway;

  beforeAll(async () => {
    caching = await startGateway({ services: { '/budgeting': [upstream] } });
  });
  afterAll(() => caching.stop());

  it('a response from the cache is part of none, and a refusal is not', async () => {
    const url = `${caching.external}/budgeting/cached`;
    const miss = await traceOf(caching, url, { headers });
    expect(miss.traceparent).toContain(`-${miss.logged}-`);
    expect((await traceOf(caching, url, { headers })).logged).toBeUndefined();
    expect((await traceOf(caching, url, {})).logged).toBeUndefined();
  });

  it('of several that wait for one response, only the one that made the call logs its trace', async () => {
    const url = `${caching.external}/budgeting/collapsed`;
    const all = await Promise.all([1, 2, 3].map(() => fetch(url, { headers })));
    const ids = all.map((one) => one.headers.get('X-Request-Id'));
    const lines = await eventually('three lines', () => {
      const found = caching.logLines().filter(({ requestId }) => ids.includes(requestId as string));
      return found.length === 3 && found;
    });
    expect(lines.filter(({ traceId }) => traceId !== undefined)).toHaveLength(1);
  });
});

describe('Server-Timing', () => {
  it('tells on responses and refusals where the time went', async () => {
    const answer = await fetch(`${behindProxy.external}/budgeting/x`, { headers });
    expect(answer.headers.get('Server-Timing')).toMatch(
      /^permit;dur=[\d.]+, auth;dur=[\d.]+, cache;dur=[\d.]+, upstream;dur=[\d.]+, total;dur=[\d.]+$/,
    );
    expect(answer.headers.get('X-Request-Id')).toBeTruthy();
    const refused = await fetch(`${behindProxy.external}/budgeting/x`);
    expect(refused.headers.get('Server-Timing')).toMatch(
      /^permit;dur=[\d.]+, auth;dur=[\d.]+, total;dur=[\d.]+$/,
    );
  });

  it('stands beside what the service says of its own time', async () => {
    await using slow = await startUpstream(
      (_req, res) => void res.writeHead(200, { 'Server-Timing': 'db;dur=53' }).end(),
    );
    await using own = await startGateway({ services: { '/x': [slow] }, env: { SERVER_TIMING: 'true' } });
    const url = `${own.external}/x/y`;
    const told = (answer: Response) => answer.headers.get('Server-Timing');
    expect(told(await fetch(url, { headers }))).toMatch(
      /^db;dur=53, permit;.* upstream;.* total;dur=[\d.]+$/,
    );
    // From the cache it is what the service said then, and the gateway's own time now.
    expect(told(await fetch(url, { headers }))).toMatch(/^db;dur=53, permit;dur=[\d.]+, .*total;dur=[\d.]+$/);
    expect(told(await fetch(url, { headers }))?.match(/total/g)).toHaveLength(1);
  });

  it('is not sent unless it was asked for', async () => {
    const answer = await fetch(`${gateway.external}/budgeting/x`, { headers });
    expect(answer.headers.get('Server-Timing')).toBeNull();
  });
});
