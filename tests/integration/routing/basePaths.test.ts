import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const good = `Authorization: Bearer ${tokenFor('ann')}`;

let legacy: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  legacy = await startUpstream((req, res) => {
    if (req.url?.includes('/move')) {
      const own = `http://${legacy.url.host}/v1/there`;
      res.writeHead(302, {
        Location: req.url.endsWith('whole') ? own : '/v1/there',
        'Set-Cookie': 'a=b; Path=/v1',
      });
    }
    res.end('ok');
  });
  const upstream = new URL('/v1/', legacy.url);
  gateway = await startGateway({
    services: {
      '/legacy': {
        upstreams: [upstream],
        publicPaths: true,
        routes: [{ match: { path: '/raw/**' }, publicPaths: false }],
      },
      '/plain': { upstreams: [upstream] },
    },
    routes: [{ match: { path: '/api/**' }, service: 'legacy', rewrite: '/**' }],
  });
});
afterAll(async () => {
  await gateway.stop();
  await legacy[Symbol.asyncDispose]();
});

function send(line: string, port = gateway.external): Promise<RawResponse> {
  return sendRaw(port, request(line, good));
}

describe('a path in the address of an upstream', () => {
  it.each([
    ['GET /plain', '/v1/'],
    ['GET /plain/a?b', '/v1/a?b'],
    ['GET /legacy//a', '/v1//a'],
    ['GET /api/a', '/v1/a'],
  ])('goes before the path of %s', async (line, target) => {
    expect((await send(line)).status).toBe(200);
    expect(legacy.requests.at(-1)?.target).toBe(target);
  });

  it('does so for services among themselves, too', async () => {
    expect((await send('GET /internal/plain/b', gateway.internal)).status).toBe(200);
    expect(legacy.requests.at(-1)?.target).toBe('/v1/b');
  });
});

describe('publicPaths', () => {
  it.each([
    ['POST /legacy/move', '/legacy/there', 'a=b; Path=/legacy'],
    ['POST /legacy/move-whole', '/legacy/there', 'a=b; Path=/legacy'],
    ['POST /api/move', '/api/there', 'a=b; Path=/api'],
    ['POST /plain/move', '/v1/there', 'a=b; Path=/v1'],
    ['POST /legacy/raw/move', '/v1/there', 'a=b; Path=/v1'],
  ])('leads %s to %s', async (line, location, cookie) => {
    const answer = await sendRaw(gateway.external, request(line, good, 'Content-Length: 0'));
    expect([answer.status, answer.field('location'), answer.field('set-cookie')]).toEqual([
      302,
      location,
      cookie,
    ]);
  });
});
