import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const FORGED = 'mallory';
const token = tokenFor('ann');

/** What only the gateway may say, as it is meant to be spelt. */
const OWNED = [
  'X-Auth-Subject',
  'X-Auth-Claims',
  'X-Auth-Roles',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Prefix',
  'X-Forwarded-Port',
  'X-Forwarded-Anything',
  'X-Forwarded',
  'Forwarded',
  'X-Request-Id',
  'X-Request-Timeout-Ms',
  'X-Real-IP',
  'X-Client-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Original-URL',
  'X-Original-Forwarded-For',
  'X-Rewrite-URL',
  'X-Host',
  'Proxy',
  'Client-IP',
  'Proxy-Client-IP',
  'WL-Proxy-Client-IP',
  'X-Cluster-Client-IP',
  'X-ProxyUser-Ip',
  'Remote-Addr',
  'X-Scheme',
  'X-Url-Scheme',
  'Front-End-Https',
  'X-Forwarded-Ssl',
  'X-Forwarded-Server',
  'X-Original-Host',
  'X-Real-Port',
  'Client-Cert',
  'Remote-User',
  'X-Remote-User',
  'X-Authenticated-Userid',
  'X-WebAuth-User',
  'X-SSL-Client-Verify',
];

const SPELLINGS: readonly [how: string, (name: string) => string][] = [
  ['as it is', (name) => name],
  ['in lower case', (name) => name.toLowerCase()],
  ['in capitals', (name) => name.toUpperCase()],
  ['with underscores', (name) => name.replaceAll('-', '_')],
  ['with one underscore', (name) => name.replace('-', '_')],
  ['with dots', (name) => name.replaceAll('-', '.')],
  ['with mixed marks', (name) => name.replace('-', '_').replace('-', '~')],
];

let upstream: Upstream;
let test: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream();
  test = await startGateway({ services: { '/up': [upstream] }, env: { GET_CACHE_TTL: 'off' } });
});
afterAll(async () => {
  await test.stop();
  await upstream[Symbol.asyncDispose]();
});

/** Field lines that the service gets of a user's request with `lines`. */
async function received(...lines: readonly string[]): Promise<readonly string[]> {
  const answer = await sendRaw(
    test.external,
    request('GET /up/x', `Authorization: Bearer ${token}`, ...lines),
  );
  expect(answer.status).toBe(200);
  return upstream.requests.at(-1)?.fields ?? [];
}

/** How a server that folds marks reads the names: as CGI does. */
const folded = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-');

/** What a trusted proxy in front does say; all else is dropped from it as from anybody. */
const OF_TRUSTED_PROXIES = ['X-Forwarded-', 'Forwarded', 'X-Request-Id'];

it('a trusted proxy too says who its client is by X-Forwarded-* and Forwarded alone', async () => {
  await using trusting = await startGateway({
    services: { '/up': [upstream] },
    env: { GET_CACHE_TTL: 'off', TRUSTED_PROXIES: '127.0.0.1' },
  });
  const others = OWNED.filter((name) => !OF_TRUSTED_PROXIES.some((beginning) => name.startsWith(beginning)));
  expect(others.length).toBeGreaterThan(20);
  const lines = others.map((name) => `${name}: ${FORGED}`);
  const answer = await sendRaw(
    trusting.external,
    request('GET /up/x', `Authorization: Bearer ${token}`, ...lines),
  );
  expect(answer.status).toBe(200);
  expect(upstream.requests.at(-1)?.fields).not.toContain(FORGED);
});

describe.each(OWNED)('%s of a client', (name) => {
  it.each(SPELLINGS)('does not reach a service spelt %s', async (_how, spell) => {
    const fields = await received(`${spell(name)}: ${FORGED}`, `${spell(name)}: ${FORGED}`);
    expect(fields).not.toContain(FORGED);
  });

  it("cannot take the gateway's own along through Connection", async () => {
    const own = (await received()).filter((field, i) => i % 2 === 0 && folded(field) === folded(name));
    const spellings = SPELLINGS.map(([, spell]) => spell(name)).join(', ');
    const fields = await received(`Connection: ${spellings}, close`);
    expect(fields.filter((field, i) => i % 2 === 0 && folded(field) === folded(name))).toEqual(own);
  });
});

it.each([
  'Content_Length',
  'content.length',
  'Transfer_Encoding',
  'Proxy_Connection',
  'Authorization_',
  'Accept_Language',
  'accept.language',
  'X_HTTP_Method_Override',
  'my_own_field',
])('%s, which some servers read as another name, does not reach a service', async (name) => {
  const fields = await received(`${name}: 5`, 'My-Own-Field: 6');
  expect(fields).not.toContain(name);
  expect(fields).toContain('My-Own-Field');
});

it('fields that merely look alike pass', async () => {
  const lines = ['X-Authority: 1', 'Xforwarded: 1', 'X-Forward: 1', 'My-Own-Field: 1', 'X-Realm: 1'];
  const fields = await received(...lines);
  for (const line of lines) expect(fields).toContain(line.split(':')[0]);
});

it("the service sees one of each, and the gateway's word", async () => {
  const fields = await received('X-Auth-Subject: root', 'X-Forwarded-For: 6.6.6.6', 'X-Request-Id: mine');
  const values = (name: string) => fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === name);
  expect(values('X-Auth-Subject')).toEqual(['ann']);
  expect(values('X-Forwarded-For')).toEqual(['127.0.0.1']);
  expect(values('X-Request-Id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
});
