import { describe, expect, it } from '@jest/globals';
import { POLICIES } from '../../../config/policies/policies.ts';
import type { Explanation } from '../../../gateway/explain/explanation.ts';
import { STAGE_FACTS } from '../../../gateway/explain/stageFacts.ts';
import type { Port } from '../../../gateway/port.ts';
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

describe('tokens in a query', () => {
  const file = `services:
  - name: shop
    path: /shop
    upstreams: ["http://shop-service:8080"]
    auth: { sources: ["query:token", bearer] }
routes:
  - { match: { path: /old }, redirect: { to: /new } }
  - { match: { path: /hub }, service: shop, auth: { sources: ["query:key"] } }
`;

  it.each<[string, Port]>([
    ['/old?key=s3cret&a=1', 'external'],
    ['/old?a=1;%74oken=s3cret', 'external'],
    ['/nothing?TOKEN=s3cret&access_token=s3cret', 'external'],
    ['/hub?key=s3cret&key=s3cret', 'external'],
    ['/a/../b?token=s3cret', 'external'],
    ['/internal/shop/x?token=s3cret', 'internal'],
  ])('are not shown: %s', async (target, port) => {
    const found = await explainedIn(file, ['GET', `http://gateway:8000${target}`], { port });
    expect(JSON.stringify(found)).not.toContain('s3cret');
  });

  it('leave their names', async () => {
    const { request, outcome } = await explainedIn(file, ['GET', 'http://x/old?key=s3cret&a=1;token=s3cret']);
    expect(request.target).toBe('/old?key=...&a=1;token=...');
    expect(outcome.location).toBe('/new?key=...&a=1;token=...');
  });
});

describe('where explain says that values come from', () => {
  const file = `defaults:
  deny: ["192.0.2.0/24"]
  headers: { request: { set: { X-Key: "s3cret", X-Tenant: acme } } }
services:
  - name: shop
    path: /shop
    upstreams: ["http://shop-service:8080"]
    deny: ["198.51.100.0/24"]
    routes:
      - match: { path: /x }
        deny: ["203.0.113.7"]
        headers: { request: { remove: [X-Key] } }
      - match: { path: /y }
        deny: []
`;
  const valuesOf = ({ stages }: Explanation) => stages.flatMap(({ values }) => values);

  it('is each level whose list counts', async () => {
    const found = valuesOf(await explainedIn(file, ['GET', 'http://x/shop/x']));
    expect(found.find(({ name }) => name === 'deny')).toEqual({
      name: 'deny',
      value: '["192.0.2.0/24","198.51.100.0/24","203.0.113.7"]',
      from: {
        level: 'route',
        place: 'gateway.yaml:11:9',
        and: [
          { level: 'service', place: 'gateway.yaml:8:5' },
          { level: 'defaults', place: 'gateway.yaml:2:3' },
        ],
      },
    });
    const empty = valuesOf(await explainedIn(file, ['GET', 'http://x/shop/y']));
    expect(empty.find(({ name }) => name === 'deny')?.from.level).toBe('service');
  });

  it('has no word of what a level further in has taken away', async () => {
    const found = valuesOf(await explainedIn(file, ['GET', 'http://x/shop/x']));
    const names = found.map(({ name }) => name).filter((name) => name.startsWith('headers.'));
    expect(names.sort()).toEqual(['headers.request.remove', 'headers.request.set.x-tenant']);
  });
});

describe('compression and API keys that are explained', () => {
  const file = `services:
  - name: shop
    path: /shop
    upstreams: ["http://shop-service:8080"]
    auth: { sources: [bearer, apiKey, "cookie:sid"] }
    routes:
      - match: { path: /on }
        compress: on
      - match: { path: /gzip }
        compress: { codings: [gzip] }
`;
  const codingsIn = ({ stages }: Explanation) =>
    stages.flatMap(({ values }) => values).find(({ name }) => name === 'compress.codings');

  it('say who turns compression on', async () => {
    expect(codingsIn(await explainedIn(file, ['GET', 'http://x/shop/on']))).toEqual({
      name: 'compress.codings',
      value: 'zstd, br, gzip',
      from: { level: 'route', place: 'gateway.yaml:8:9' },
    });
    expect(codingsIn(await explainedIn(file, ['GET', 'http://x/shop/gzip']))?.from).toEqual({
      level: 'route',
      place: 'gateway.yaml:10:21',
    });
  });

  it('say that the service is asked for identity', async () => {
    const added = async (path: string) =>
      (await explainedIn(file, ['GET', `http://x/shop/${path}`])).upstream?.fieldsAdded;
    expect(await added('on')).toContain('Accept-Encoding');
    expect(await added('x')).not.toContain('Accept-Encoding');
  });

  it('say that the service does not get the field or cookie that says who is calling', async () => {
    const removed = async (...headers: string[]) =>
      (await explainedIn(file, ['GET', 'http://x/shop/x'], { headers })).upstream?.fieldsRemoved;
    expect(await removed('X-Api-Key: s3cret', 'X-Own: 1')).toEqual(['X-Api-Key']);
    expect(await removed('Cookie: sid=s3cret')).toEqual(['Cookie']);
    expect(await removed('Cookie: sid=s3cret; theme=dark')).toEqual([]);
  });
});

describe('policies', () => {
  const file = `services:
  - name: shop
    path: /shop
    upstreams: ["http://shop-service:8080"]
    auth: { need: optional, require: off, sources: [bearer] }
    allow: ["10.0.0.0/8"]
    deny: ["10.1.0.0/16"]
    passAuthorization: true
    publicPaths: true
    headers:
      request: { set: { X-Tenant: acme }, add: { X-More: "1" }, remove: [X-Debug] }
      response: { set: { X-Served: "1" }, remove: [Server] }
    host: shop.internal
    cors: { origins: ["https://app.faf.example"], maxAge: 5m }
    security: {}
    health: { path: /ready, status: [200-299, 404] }
routes:
  - { match: { path: /out }, service: shop, token: revoke }
`;

  it('each belong to a stage', () => {
    const known = Object.values(STAGE_FACTS).flatMap(({ policies = [], external = [] }) => [
      ...policies,
      ...external,
    ]);
    const names = new Set(known.map((path) => path.split('.')[0]));
    expect(Object.keys(POLICIES).filter((name) => !names.has(name))).toEqual([]);
  });

  it('stand each with a stage, and by the names of the file', async () => {
    const found = await explainedIn(file, ['POST', 'http://x/out']);
    expect(found).not.toHaveProperty('others');
    const byStage = Object.fromEntries(
      found.stages.map(({ name, values }) => [name, values.map((value) => value.name)]),
    );
    expect(byStage).toMatchObject({
      headers: ['headers.response.set.x-served', 'headers.response.remove'],
      addresses: ['allow', 'deny'],
      auth: ['auth', 'token', 'AUTH_ISSUE_PATHS', 'AUTH_REVOKE_PATHS'],
      loadBalancer: expect.arrayContaining(['health.path', 'health.interval', 'SLOW_START']),
    });
    expect(byStage.proxy).toEqual(
      expect.arrayContaining([
        'headers.request.set.x-tenant',
        'headers.request.add.x-more',
        'headers.request.remove',
        'host',
        'passAuthorization',
        'publicPaths',
      ]),
    );
    expect(found.stages.flatMap(({ values }) => values)).toContainEqual({
      name: 'cors.maxAge',
      value: '5m',
      from: { level: 'service', place: 'gateway.yaml:14:51' },
    });
    expect(found.stages.flatMap(({ values }) => values)).toContainEqual({
      name: 'health.status',
      value: '200-299 404',
      from: { level: 'service', place: 'gateway.yaml:16:29' },
    });
    expect(JSON.stringify(found.stages)).not.toMatch(/\.values"|\.name"/);
  });

  it('of users are none of the internal port', async () => {
    const url = 'http://gateway:8001/internal/shop/a';
    const { stages } = await explainedIn(file, ['GET', url], { port: 'internal' });
    const names = stages.flatMap(({ values }) => values.map(({ name }) => name));
    expect(names).toEqual(expect.arrayContaining(['host', 'publicPaths', 'timeouts.request', 'limits.body']));
    const ofUsers = /^(auth|token|allow|deny|cors|security|headers|passAuthorization|cache)/;
    expect(names.filter((name) => ofUsers.test(name))).toEqual([]);
  });
});
