import { describe, expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const QUERIES = [
  '?%5fmethod=DELETE',
  '?_method=%44ELETE',
  '?_method=%2544ELETE',
  '?_method=DELETE%20',
  '?+_method=DELETE',
  '?.method=delete',
  '?_method[]=DELETE',
  '?a=1;_method=DELETE',
];
const FIELDS = [
  ['X-HTTP-Method-Override: DELETE', 'X-HTTP-Method-Override: x'],
  ['X-HTTP-Method-Override: DELETE, x'],
  ['X-Method-Override: x', 'X-Method-Override: "delete"'],
];

describe('a method in another spelling, which the service may read,', () => {
  it('is as protected as the method', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [shop],
          routes: [
            { match: { path: '/pub/**' }, auth: 'none' },
            {
              match: { path: '/pub/items/**', methods: ['DELETE'] },
              auth: { require: { claims: { role: 'admin' } } },
            },
          ],
        },
      },
    });
    const send = (line: string, ...fields: string[]) =>
      sendRaw(gateway.external, request(line, 'Content-Length: 0', ...fields));

    expect((await send('POST /shop/pub/items/1')).status).toBe(200);
    expect((await send('POST /shop/pub/items/1?my_method=DELETE&q=caf%C3%A9')).status).toBe(200);
    for (const query of QUERIES)
      await expectProblem(await send(`POST /shop/pub/items/1${query}`), 'token_missing');
    for (const fields of FIELDS)
      await expectProblem(await send('POST /shop/pub/items/1', ...fields), 'token_missing');
    const user = `Authorization: Bearer ${tokenFor('ann')}`;
    const denied = await send('POST /shop/pub/items/1?%5fmethod=DELETE', user);
    expect(denied.status).toBe(403);
  });

  it('needs an allowed origin beside a cookie', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], auth: { sources: ['cookie:session'] } } },
    });
    const cookie = `Cookie: session=${tokenFor('ann')}`;
    const send = (line: string, ...fields: string[]) =>
      sendRaw(gateway.external, request(line, cookie, 'Sec-Fetch-Site: cross-site', ...fields));

    expect((await send('GET /shop/items/1?a=%20b')).status).toBe(200);
    for (const query of QUERIES)
      await expectProblem(await send(`GET /shop/items/1${query}`), 'origin_not_allowed');
    for (const fields of FIELDS)
      await expectProblem(await send('GET /shop/items/1', ...fields), 'origin_not_allowed');
  });

  it('makes a logout of a GET', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [shop],
          routes: [{ match: { path: '/bye', methods: ['DELETE'] }, token: 'revoke' }],
        },
      },
    });
    for (const [index, query] of QUERIES.entries()) {
      const token = `Authorization: Bearer ${tokenFor(`user-${index}`)}`;
      const send = (line: string) => sendRaw(gateway.external, request(line, token));
      await send('GET /shop/bye?a=%20b');
      expect((await send('GET /shop/me')).status).toBe(200);
      await send(`GET /shop/bye${query}`);
      await expectProblem(await send('GET /shop/me'), 'token_revoked');
    }
  });
});
