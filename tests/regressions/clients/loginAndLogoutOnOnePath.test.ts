import { expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

it('a login and a logout may be one path with two methods', async () => {
  await using users = await startUpstream();
  await using gateway = await startGateway({
    services: {
      '/users': {
        upstreams: [users],
        routes: [
          { match: { path: '/session', methods: ['POST'] }, token: 'issue' },
          { match: { path: '/session', methods: ['DELETE'] }, token: 'revoke' },
        ],
      },
    },
    routes: [{ match: { path: '/api/session' }, service: 'users', rewrite: '/session' }],
  });
  const send = (line: string, ...fields: string[]) =>
    sendRaw(gateway.external, request(line, 'Content-Length: 0', ...fields));
  const bearerOf = (user: string) => `Authorization: Bearer ${tokenFor(user)}`;

  expect((await send('POST /users/session')).status).toBe(200);
  for (const [line, ...more] of [
    ['DELETE /users/session'],
    ['DELETE /users/Session/'],
    ['DELETE /api/session'],
    ['POST /users/session', 'X-HTTP-Method-Override: delete'],
  ] as const) {
    const token = bearerOf(line);
    expect((await send('GET /users/me', token)).status).toBe(200);
    expect((await send(line, token, ...more)).status).toBe(200);
    await expectProblem(await send('GET /users/me', token), 'token_revoked');
  }
  const token = bearerOf('ann');
  expect((await send('PUT /users/session', token)).status).toBe(200);
  expect((await send('GET /users/me', token)).status).toBe(200);
});
