import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const good = `Authorization: Bearer ${tokenFor('ann')}`;

let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({
    defaults: { deny: ['192.0.2.66'], cors: { origins: ['https://app.faf.example'] } },
    services: {
      '/orders': {
        upstreams: [upstream],
        cacheTtl: '60s',
        routes: [
          { match: { path: '/admin/**' }, allow: ['10.0.0.0/8', '2001:db8:1::/48'] },
          { match: { path: '/admin/open' }, allow: ['0.0.0.0/0', '::/0'] },
          { match: { path: '/notes/**' }, deny: ['198.51.100.0/24'], auth: 'none' },
        ],
      },
    },
    routes: [{ match: { path: '/closed/**' }, respond: { status: 503 }, deny: ['198.51.100.0/24'] }],
    env: { TRUSTED_PROXIES: 'loopback' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream[Symbol.asyncDispose]();
});

async function statusFor(address: string, line: string, ...fields: string[]): Promise<number> {
  const text = request(line, good, `X-Forwarded-For: ${address}`, ...fields);
  return (await sendRaw(gateway.external, text)).status;
}

describe('a route that says whose clients may come', () => {
  it.each([
    ['10.1.2.3', 'GET /orders/admin/x', 200],
    ['::ffff:10.1.2.3', 'GET /orders/admin/x', 200],
    ['10.1.2.3:4711', 'GET /orders/admin/x', 200],
    ['2001:DB8:1::7', 'GET /orders/admin/x', 200],
    ['[2001:db8:1::7]:80', 'GET /orders/admin/x', 200],
    ['2001:db8:2::7', 'GET /orders/admin/x', 403],
    ['11.1.2.3', 'GET /orders/admin/x', 403],
    ['11.1.2.3, 10.1.2.3', 'GET /orders/admin/x', 200],
    ['10.1.2.3, 11.1.2.3', 'GET /orders/admin/x', 403],
    ['unknown', 'GET /orders/admin/x', 403],
    ['11.1.2.3', 'GET /orders/Admin/x', 403],
    ['11.1.2.3', 'GET /orders/admin;v=1/x', 403],
    ['11.1.2.3', 'GET /orders//admin/x', 403],
    ['11.1.2.3', 'GET /orders/admin/open', 200],
    ['11.1.2.3', 'GET /orders/x', 200],
    ['192.0.2.66', 'GET /orders/x', 403],
    ['192.0.2.66', 'GET /orders/admin/open', 403],
    ['192.0.2.66', 'GET /orders/notes/x', 403],
    ['198.51.100.9', 'GET /orders/notes/x', 403],
    // A service that does not heed letter case would take it for the notes; the gateway cannot tell.
    ['198.51.100.9', 'GET /orders/Notes/x', 400],
    ['198.51.100.9', 'GET /orders/x', 200],
    ['198.51.100.9', 'GET /closed/x', 403],
    ['192.0.2.66', 'GET /closed/x', 403],
    ['10.1.2.3', 'GET /closed/x', 503],
  ])('gives %s for %s %d', async (address, line, status) => {
    expect(await statusFor(address, line)).toBe(status);
  });

  it('refuses before the cache, and before it looks at a token', async () => {
    for (const expected of [200, 200])
      expect(await statusFor('10.1.2.3', 'GET /orders/admin/kept')).toBe(expected);
    expect(await statusFor('11.1.2.3', 'GET /orders/admin/kept')).toBe(403);
    const text = request(
      'GET /orders/admin/x',
      'X-Forwarded-For: 11.1.2.3',
      'Origin: https://app.faf.example',
    );
    const answer = await sendRaw(gateway.external, text);
    await expectProblem(answer, 'address_refused');
    expect(answer.field('access-control-allow-origin')).toBe('https://app.faf.example');
  });

  it('refuses WebSockets too', async () => {
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    expect(await statusFor('11.1.2.3', 'GET /orders/admin/x', ...upgrade, key)).toBe(403);
  });
});

it('nobody chooses an address but a trusted proxy', async () => {
  await using other = await startGateway({
    services: { '/orders': { upstreams: [upstream], allow: ['10.0.0.0/8'] } },
  });
  const forged = request('GET /orders/x', good, 'X-Forwarded-For: 10.1.2.3');
  await expectProblem(await sendRaw(other.external, forged), 'address_refused');
  const internal = await sendRaw(other.internal, request('GET /internal/orders/x'));
  expect(internal.status).toBe(200);
});
