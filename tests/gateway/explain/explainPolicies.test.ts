import { describe, expect, it } from '@jest/globals';
import { explainedIn } from '../../support/gateway/explained.ts';

const SERVICE = `services:
  - { name: shop, path: /shop, upstreams: ["http://shop-service:8080"] }
`;

describe('routes that explain names', () => {
  it('are those between which a path is ambiguous, by whom each lets in', async () => {
    const file = `${SERVICE}routes:
  - { match: { path: /x/admin }, service: shop, allow: ["10.0.0.0/8"] }
  - { match: { path: /x/** }, service: shop, deny: ["192.0.2.0/24"] }
`;
    const found = await explainedIn(file, ['GET', 'http://x/x/Admin']);
    expect(found).toMatchObject({ outcome: { kind: 'refuse', status: 400 } });
    expect(found.route).toBeUndefined();
    expect(found.beaten.map(({ name }) => name).sort()).toEqual(['/x/**', '/x/admin']);
  });
});

describe('what explain says of tokens', () => {
  const file = `services:
  - name: shop
    path: /shop
    upstreams: ["http://shop-service:8080"]
    auth: { sources: ["query:token", "cookie:sid"] }
    routes:
      - { match: { path: /in }, token: issue }
      - { match: { path: /out }, token: revoke, auth: none }
      - { match: { path: /bearer }, auth: { need: optional, sources: [bearer] } }
      - match: { path: /pages }
        cors: { origins: ["https://app.faf.example"], credentials: true }
`;
  const missing = { kind: 'forward', status: 401, code: 'token_missing' };
  const refused = { kind: 'forward', status: 403, code: 'origin_not_allowed' };
  const passes = { kind: 'forward' };

  it.each<[string, string[], object]>([
    ['POST /shop/in', [], passes],
    ['GET /shop/in', [], missing],
    ['POST /shop/out', [], missing],
    ['GET /shop/out', [], passes],
    ['POST /shop/out?token=s3cret', [], passes],
    ['GET /shop/x', ['Authorization: Bearer s3cret'], missing],
    ['GET /shop/x?token=s3cret', [], passes],
    ['GET /shop/x?token=', [], missing],
    ['GET /shop/x?token=s3cret&token=s3cret', [], { ...missing, code: 'token_invalid' }],
    ['GET /shop/x', ['Cookie: sid=s3cret'], passes],
    ['POST /shop/x', ['Cookie: sid=s3cret'], refused],
    ['POST /shop/x', ['Cookie: sid=s3cret', 'Origin: http://x'], passes],
    ['POST /shop/x', ['Cookie: sid=s3cret', 'Origin: https://app.faf.example'], refused],
    ['POST /shop/pages', ['Cookie: sid=s3cret', 'Origin: https://app.faf.example'], passes],
    ['GET /shop/bearer', [], passes],
    ['GET /shop/bearer', ['Authorization: Basic s3cret'], missing],
    ['GET /shop/bearer', ['Authorization: Bearer '], missing],
  ])('%s with %j', async (request, headers, outcome) => {
    const [method = '', target = ''] = request.split(' ');
    const found = await explainedIn(file, [method, `http://x${target}`], { headers });
    const { reason, ...rest } = found.outcome;
    expect(rest).toEqual(outcome);
    expect(reason === undefined).toBe(outcome === passes);
    if (outcome !== passes) expect(found.cache).toBeUndefined();
    expect(JSON.stringify(found)).not.toContain('s3cret');
  });
});

describe('fields that explain says are added and removed', () => {
  const file = `services:
  - { name: shop, path: /shop, upstreams: ["http://shop-service:8080"], passAuthorization: true }
routes:
  - match: { path: /a }
    service: shop
    passAuthorization: false
    headers: { request: { set: { X-Tenant: acme }, add: { X-More: "1" }, remove: [X-Debug] } }
    host: shop.internal
`;
  const headers = ['Authorization: Bearer s3cret', 'X-Debug: 1', 'Keep-Alive: 5'];

  it('are those that headers.request, passAuthorization and host make so', async () => {
    const { upstream: whole } = await explainedIn(file, ['GET', 'http://x/shop'], { headers });
    expect(whole?.fieldsRemoved).toEqual(['Keep-Alive']);
    expect(whole?.fieldsAdded).not.toContain('X-Tenant');
    const { upstream } = await explainedIn(file, ['GET', 'http://x/a'], { headers });
    expect(upstream?.fieldsRemoved).toEqual(['Authorization', 'X-Debug', 'Keep-Alive']);
    expect(upstream?.fieldsAdded).toEqual(expect.arrayContaining(['X-Tenant', 'X-More', 'X-Auth-Subject']));
  });

  it('are none of users on the internal port', async () => {
    const url = 'http://gateway:8001/internal/shop/a';
    const { upstream } = await explainedIn(file, ['GET', url], { headers, port: 'internal' });
    expect(upstream?.fieldsRemoved).toEqual(['Keep-Alive']);
    expect(upstream?.fieldsAdded).not.toContain('X-Auth-Subject');
  });
});
