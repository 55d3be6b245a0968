import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const good = `Authorization: Bearer ${tokenFor('ann')}`;
const bad = 'Authorization: Bearer x.y.z';

let shop: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  shop = await startUpstream();
  gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: [shop],
        cacheTtl: '60s',
        routes: [
          { match: { methods: ['GET'], path: '/catalog/**' }, auth: 'none' },
          { match: { path: '/greeting' }, auth: 'optional', cache: 'off' },
          { match: { path: '/upload' }, limits: { body: '4' } },
          { match: { path: '/big' }, limits: { body: '8KiB' } },
          { match: { path: '/catalog/drafts/**' }, auth: 'required' },
          { match: { path: '/auth/out' }, auth: 'none' },
        ],
      },
      '/open': {
        upstreams: [shop],
        auth: 'none',
        routes: [{ match: { path: '/admin/**' }, auth: 'required' }],
      },
    },
    env: { MAX_BODY_BYTES: '100', AUTH_REVOKE_PATHS: '/shop/auth/out', AUTH_ISSUE_PATHS: '/shop/auth/in' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await shop[Symbol.asyncDispose]();
});

function send(line: string, ...fields: string[]): Promise<RawResponse> {
  return sendRaw(gateway.external, request(line, ...fields));
}

async function statusOf(line: string, ...fields: string[]): Promise<number> {
  return (await send(line, ...fields)).status;
}

describe('auth: none', () => {
  it('lets anybody in, with any token or none, and tells the service of nobody', async () => {
    for (const fields of [[], [bad], [good]])
      expect(await statusOf('GET /shop/catalog/a', ...fields)).toBe(200);
    const fields = shop.requests.at(-1)?.fields ?? [];
    expect(
      ['authorization', 'x-auth-subject', 'x-auth-claims'].map((name) => fieldValue(fields, name)),
    ).toEqual([undefined, undefined, undefined]);
  });

  it('counts for its methods alone, and HEAD is GET', async () => {
    expect(await statusOf('HEAD /shop/catalog/a')).toBe(200);
    await expectProblem(await send('POST /shop/catalog/a', 'Content-Length: 0'), 'token_missing');
  });

  it('keeps responses for those alone who bring nothing by which they might be known', async () => {
    const verdicts: boolean[] = [];
    for (const fields of [[good], [good], [], [], ['Cookie: a=b']]) {
      const answer = await send('GET /shop/catalog/kept', ...fields);
      verdicts.push(answer.field('cache-status')?.includes('hit') === true);
    }
    expect(verdicts).toEqual([false, false, false, true, false]);
  });

  it.each([
    '/shop/catalog/drafts',
    '/shop/catalog/drafts/x',
    '/shop/catalog/Drafts/x',
    '/shop/catalog//drafts/x',
    '/shop/catalog/%64rafts/x',
    '/shop/catalog/x;y/%252e%252e/drafts/x',
    '/shop/catalog/drafts;v=1/x',
    '/shop/catalog%2fdrafts%2fx',
    '/shop/Catalog/x',
    '/shop/catalog;/x',
    '/shop//catalog/x',
    '/shop/catalogue',
    '/shop/x',
    '/open/admin',
    '/open/ADMIN/x',
    '/open//admin/',
    '/open/x%2f%252e%252e%2fadmin',
  ])('opens nothing beside it: %s', async (target) => {
    await expectProblem(await send(`GET ${target}`), 'token_missing');
    expect(await statusOf(`GET ${target}`, good)).toBe(200);
  });

  it('of a service is for all that no route keeps', async () => {
    expect(await statusOf('POST /open/x', 'Content-Length: 0')).toBe(200);
  });

  it('does not keep a logout from revoking the token it comes with', async () => {
    const token = `Authorization: Bearer ${tokenFor('leaver')}`;
    await expectProblem(await send('POST /shop/auth/out', 'Content-Length: 0'), 'token_missing');
    expect(await statusOf('POST /shop/auth/out', token, 'Content-Length: 0')).toBe(200);
    await expectProblem(await send('GET /shop/x', token), 'token_revoked');
  });
});

describe('auth: optional', () => {
  it('lets in who has no token, and who has a good one as who that is', async () => {
    expect(await statusOf('GET /shop/greeting')).toBe(200);
    expect(fieldValue(shop.requests.at(-1)?.fields ?? [], 'x-auth-subject')).toBe(undefined);
    expect(await statusOf('GET /shop/greeting', good)).toBe(200);
    expect(fieldValue(shop.requests.at(-1)?.fields ?? [], 'x-auth-subject')).toBe('ann');
  });

  it('refuses a token that is not good', async () => {
    await expectProblem(await send('GET /shop/greeting', bad), 'token_invalid');
    await expectProblem(await send('GET /shop/greeting', 'Authorization: Basic YTpi'), 'token_missing');
  });

  it('is for its own spelling alone', async () => {
    await expectProblem(await send('GET /shop/Greeting'), 'token_missing');
  });
});

describe('a route has its own', () => {
  it.each([
    ['/shop/upload', 5, 413],
    ['/shop/Upload', 5, 413],
    ['/shop/upload', 4, 200],
    ['/shop/big', 101, 200],
    // Where something is open, what asks for a token does so in any spelling, whatever else it allows.
    ['/shop/BIG', 101, 200],
    ['/shop/x', 101, 413],
  ])('size of content: %s takes %d bytes with %d', async (target, length, status) => {
    const sent = request(`POST ${target}`, good, `Content-Length: ${length}`) + 'x'.repeat(length);
    expect((await sendRaw(gateway.external, sent)).status).toBe(status);
  });

  it('cache', async () => {
    const verdicts = async (target: string) => {
      const all: boolean[] = [];
      for (let i = 0; i < 2; i += 1) {
        const answer = await send(`GET ${target}`, good);
        all.push(answer.field('cache-status')?.includes('hit') === true);
      }
      return all;
    };
    expect(await verdicts('/shop/greeting?cache')).toEqual([false, false]);
    expect(await verdicts('/shop/else?cache')).toEqual([false, true]);
  });
});

it('logs and counts name the route, and nothing where there is none', async () => {
  const before = await gateway.metric('gateway_route_requests_total', {
    route: '/shop/upload',
    status: '413',
  });
  await sendRaw(gateway.external, `${request('POST /shop/upload', good, 'Content-Length: 5')}xxxxx`);
  await sendRaw(gateway.internal, request('GET /internal/shop/upload'));
  await send('GET /nobody/here', good);
  const lines = await eventually('three lines', () => {
    const last = gateway
      .logLines()
      .filter(({ method }) => method !== undefined)
      .slice(-3);
    return last.at(-1)?.service === 'none' && last;
  });
  expect(lines.map(({ route }) => route)).toEqual(['/shop/upload', undefined, undefined]);
  const after = await gateway.metric('gateway_route_requests_total', {
    route: '/shop/upload',
    status: '413',
  });
  expect(after).toBe(before + 1);
});

it('routes are for users: services among themselves go by the service alone', async () => {
  const sent = request('POST /internal/shop/upload', 'Content-Length: 50') + 'x'.repeat(50);
  expect((await sendRaw(gateway.internal, sent)).status).toBe(200);
});
