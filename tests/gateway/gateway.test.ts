import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { call } from '../support/clients/client.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../support/gateway/nothingHeld.ts';
import { expectProblem } from '../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

// The shortest way to see every stage at work: both ports of one gateway in front of one service. What each stage does
// beyond that is tried where the stage is tested, and by `npm run test:all`.

const LIMIT = 2;
const [ann, ben, cem] = ['ann', 'ben', 'cem'].map((name) => ({ headers: bearer(tokenFor(name)) }));

/** Requests to /held whose responses the service keeps back. */
const held: (() => void)[] = [];
let service: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startUpstream((req, res) => {
    if (req.url?.startsWith('/held')) held.push(() => void res.end('at last'));
    else res.writeHead(200, { 'X-Own': 'kept' }).end(`${req.method} ${req.url}`);
  });
  const env = { PER_SERVICE_LIMIT: String(LIMIT) };
  gateway = await startGateway({ services: { '/budgeting': [service] }, env });
});
afterEach(async () => {
  for (const release of held.splice(0)) release();
  await expectNothingHeld(gateway);
});
afterAll(async () => {
  await gateway.stop();
  await service[Symbol.asyncDispose]();
});

/** How often the service was asked for `target`. */
const asked = (target: string) => service.requests.filter((request) => request.target === target).length;

describe('a whole gateway, on the port of users,', () => {
  const user = (path: string, options: Parameters<typeof call>[1] = ann) =>
    call(`${gateway.external}/budgeting${path}`, options);

  it('gets a GET that is not stored from the service, stores it, and then answers it itself', async () => {
    const miss = await user('/stored?a=1');
    expect({ status: miss.status, body: String(miss.body) }).toEqual({
      status: 200,
      body: 'GET /stored?a=1',
    });
    expect(miss.headers).toMatchObject({
      'x-own': 'kept',
      'x-cache': 'MISS',
      'cache-status': 'gateway; fwd=uri-miss',
    });
    // It is stored behind the client's back.
    const hit = await eventually('it is stored', async () => {
      const response = await user('/stored?a=1');
      return response.headers['x-cache'] === 'HIT' && response;
    });
    const times = asked('/stored?a=1');
    expect({ status: hit.status, body: String(hit.body) }).toEqual({ status: 200, body: 'GET /stored?a=1' });
    expect(hit.headers).toMatchObject({
      'x-own': 'kept',
      'cache-status': expect.stringMatching(/^gateway; hit; ttl=\d+$/),
    });
    await user('/stored?a=1');
    expect(asked('/stored?a=1')).toBe(times);
  });

  it('forwards what is not for a cache, every time', async () => {
    for (const times of [1, 2]) {
      const { status, body } = await user('/sent', { ...ann, method: 'POST', body: '{}' });
      expect({ status, body: String(body) }).toEqual({ status: 200, body: 'POST /sent' });
      expect(asked('/sent')).toBe(times);
    }
    expect(String(service.requests.findLast(({ target }) => target === '/sent')?.body)).toBe('{}');
  });

  it('says 401 without a token, and with one that somebody else signed; the service hears of neither', async () => {
    const forged = `${tokenFor('ann').split('.').slice(0, 2).join('.')}.${'A'.repeat(43)}`;
    const url = `${gateway.external}/budgeting/secret`;
    await expectProblem(await fetch(url), 'token_missing');
    await expectProblem(await fetch(url, { headers: bearer(forged) }), 'token_invalid');
    expect(asked('/secret')).toBe(0);
  });

  it('says 429 to one more than the service may have at a time, and lets the next in when one is done', async () => {
    const first = [user('/held', ann), user('/held', ben)];
    await underWay(gateway, LIMIT);
    await expectProblem(await fetch(`${gateway.external}/budgeting/more`, cem), 'service_busy');
    expect(asked('/more')).toBe(0);
    await eventually('they are at the service', () => held.length === LIMIT);
    for (const release of held.splice(0)) release();
    for (const { status, body } of await Promise.all(first))
      expect({ status, body: String(body) }).toEqual({ status: 200, body: 'at last' });
    expect((await user('/more', cem)).status).toBe(200);
  });
});

describe('a whole gateway, on the port of services,', () => {
  it('forwards without a token, and stores nothing', async () => {
    for (const times of [1, 2]) {
      const response = await call(`${gateway.internal}/internal/budgeting/peer`);
      expect({ status: response.status, body: String(response.body) }).toEqual({
        status: 200,
        body: 'GET /peer',
      });
      expect(response.headers).not.toHaveProperty('x-cache');
      expect(asked('/peer')).toBe(times);
    }
  });

  it('answers the health checks of both ports, and counts what went through', async () => {
    for (const port of [gateway.external, gateway.internal])
      expect((await call(`${port}/healthz`)).status).toBe(200);
    const text = String((await call(`${gateway.internal}/metrics`)).body);
    expect(text).toMatch(/^gateway_cache_hits_total\{service="\/budgeting"[^}]*\} [1-9]/m);
  });
});
