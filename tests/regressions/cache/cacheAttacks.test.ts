import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

jest.setTimeout(30_000);

const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');
const alice = tokenFor('alice');

const get = (gateway: TestGateway, path: string, token = alice, headers: object = {}) =>
  call(gateway.external + path, { headers: { ...bearer(token), ...headers } });

describe.each(STORES)('the cache with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  // Whoever asked after the purge was given the answer to what was asked before it.
  it.each([{ prefix: '/up/x' }, { service: '/up' }, { tag: 'red' }, { url: '/up/x' }])(
    'lets nobody follow a call that a purge of %j has overtaken',
    async (target) => {
      const gate = deferred<void>();
      let calls = 0;
      await using upstream = await startUpstream(async (_req, res) => {
        calls += 1;
        const call = calls;
        if (call === 1) await gate.promise;
        res.writeHead(200, { 'Cache-Tag': 'red' }).end(`call ${call}`);
      });
      await using gateway = await startGateway({
        services: { '/up': [upstream] },
        store,
        env: { ADMIN_TOKEN },
      });
      const before = get(gateway, '/up/x');
      await eventually('the first call', () => calls === 1);
      const purge = { method: 'POST', headers: bearer(ADMIN_TOKEN), body: JSON.stringify(target) };
      expect((await call(`${gateway.internal}/admin/cache/purge`, purge)).status).toBe(204);
      expect(String((await get(gateway, '/up/x')).body)).toBe('call 2');
      gate.resolve();
      expect(String((await before).body)).toBe('call 1');
      expect(String((await get(gateway, '/up/x')).body)).not.toBe('call 1');
    },
  );

  // The service saw no language, and the cache took its answer for one in English.
  it('does not believe a field that its sender keeps from the service', async () => {
    await using upstream = await startUpstream((req, res) => {
      const language = req.headers['accept-language'] ?? 'none';
      res.writeHead(200, { 'Cache-Control': 'public, max-age=60', Vary: 'Accept-Language' }).end(language);
    });
    await using gateway = await startGateway({ services: { '/up': [upstream] }, store });
    const english = { 'Accept-Language': 'en' };
    const forged = { ...english, Connection: 'close, Accept-Language' };
    expect(String((await get(gateway, '/up/x', tokenFor('mallory'), forged)).body)).toBe('none');
    expect(String((await get(gateway, '/up/x', alice, english)).body)).toBe('en');
    expect(String((await get(gateway, '/up/x', alice, forged)).body)).toBe('none');
  });

  // The service may have done what it was asked: nobody knows, so nothing that is stored counts.
  it.each(['leaves', 'waits in vain'])('forgets what a PUT has changed whose client %s', async (does) => {
    await using upstream = await startRawUpstream((socket, head) => {
      if (head.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else hangs(socket, head);
    });
    const services = { '/up': { upstreams: [upstream], requestTimeout: '300ms' } };
    await using gateway = await startGateway({ services, store });
    await get(gateway, '/up/x');
    expect((await get(gateway, '/up/x')).headers['x-cache']).toBe('HIT');
    using client = await RawClient.to(gateway.external);
    client.send(request('PUT /up/x', `Authorization: Bearer ${alice}`, 'Content-Length: 0'));
    await eventually('the PUT', () => upstream.requests.some(({ method }) => method === 'PUT'));
    if (does === 'leaves') client.reset();
    else expect((await client.answer()).status).toBe(504);
    await eventually('it is forgotten', async () => {
      return (await get(gateway, '/up/x')).headers['x-cache'] === 'MISS';
    });
  });
});

// Everybody waited for half of their time, one after another, for the end of a stream that has none.
it('holds nobody up for more than a second behind a response that drips on', async () => {
  const clock = new ManualClock();
  await using upstream = await startUpstream((_req, res) => {
    res.writeHead(200, { 'Cache-Control': 'public, max-age=60' });
    res.write('drip');
  });
  const services = { '/up': { upstreams: [upstream], requestTimeout: '60s' } };
  await using gateway = await startGateway({ services, clock });
  const begin = async () => answerTo(open(`${gateway.external}/up/x`, { headers: bearer(alice) }).end());
  const first = await begin();
  const second = begin();
  await eventually('both are there', () => gateway.gateway.parts.limits.gateway.held === 2);
  expect(upstream.requests).toHaveLength(1);
  await eventually('the second gets its own', () => {
    clock.advance(1_000);
    return upstream.requests.length === 2;
  });
  const third = await begin();
  for (const answer of [first, await second, third]) answer.destroy();
});
