import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import type { GatewayFileInput } from '../../config/file/schema.ts';
import { fieldValue } from '../../lib/http/fields.ts';
import { request, sendRaw } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { expectProblem } from '../support/gateway/problem.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

type RouteInput = NonNullable<NonNullable<GatewayFileInput['services']>[number]['routes']>[number];

const COOKIE_ROUTE: RouteInput = {
  match: { path: '/live/**' },
  auth: { sources: ['cookie:session', 'query:jwt'], require: { scopes: ['live'] } },
};

/** Opens a WebSocket, or gives the status of the refusal. */
async function open(url: string, headers: Record<string, string>): Promise<WebSocket | number> {
  const socket = new WebSocket(url, { headers });
  socket.on('error', () => {});
  return Promise.race([
    once(socket, 'open').then(() => socket),
    once(socket, 'unexpected-response').then(([, { statusCode }]) => {
      socket.terminate();
      return statusCode as number;
    }),
  ]);
}

function opened(socket: WebSocket | number): WebSocket {
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`);
  return socket;
}

function socketUrl({ external }: TestGateway, target: string): string {
  return external.replace('http:', 'ws:') + target;
}

describe('auth of a route, with WebSockets', () => {
  it('takes a cookie from its own origin, and closes what was opened with it when it is revoked', async () => {
    await using service = await startSocketService();
    await using login = await startUpstream();
    await using gateway = await startGateway({
      services: { '/chat': { upstreams: [service], routes: [COOKIE_ROUTE] }, '/login': [login] },
      env: { AUTH_REVOKE_PATHS: '/login/out' },
    });
    const token = tokenFor('ann', { scope: 'live' });
    const Cookie = `a=1; session=${token}`;
    const url = socketUrl(gateway, '/chat/live/1');
    expect(await open(url, { Cookie })).toBe(403);
    expect(await open(url, { Cookie, Origin: 'https://evil.example' })).toBe(403);
    expect(await open(url, { Cookie: `session=${tokenFor('bob')}`, Origin: gateway.external })).toBe(403);
    expect(service.handshakes).toEqual([]);

    const socket = opened(await open(url, { Cookie, Origin: gateway.external }));
    expect(service.handshakes.map(({ headers }) => headers.cookie)).toEqual(['a=1']);
    await sendRaw(
      gateway.external,
      request('POST /login/out', `Authorization: Bearer ${token}`, 'Content-Length: 0'),
    );
    await once(socket, 'close');
  });

  it('takes a parameter of its own, which the service never sees', async () => {
    await using service = await startSocketService();
    await using gateway = await startGateway({
      services: { '/chat': { upstreams: [service], routes: [COOKIE_ROUTE] } },
    });
    const token = tokenFor('ann', { scope: 'live' });
    opened(await open(socketUrl(gateway, `/chat/live/1?room=2&JWT=${token}`), {})).close();
    expect(service.handshakes.map(({ target }) => target)).toEqual(['/live/1?room=2']);
  });
});

describe('auth of a route, with replicas and limits', () => {
  it('passes on the same after a failover', async () => {
    await using bad = await startUpstream((req) => void req.socket.destroy());
    await using good = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [bad, good],
          routes: [
            { match: { path: '/c/**' }, auth: { sources: ['cookie:session'] } },
            { match: { path: '/p/**' }, passAuthorization: true },
          ],
        },
      },
      random: () => 0,
    });
    const token = tokenFor('ann');
    for (let n = 0; n < 4; n += 1) {
      await sendRaw(gateway.external, request(`GET /shop/c/${n}`, `Cookie: session=${token}; b=2`));
      await sendRaw(gateway.external, request(`GET /shop/p/${n}`, `Authorization: Bearer ${token}`));
    }
    expect(bad.requests.length).toBeGreaterThan(0);
    for (const { target, fields } of [...bad.requests, ...good.requests]) {
      const [cookie, authorization] = ['cookie', 'authorization'].map((name) => fieldValue(fields, name));
      const isCookie = target.startsWith('/c/');
      expect([cookie, authorization]).toEqual(isCookie ? ['b=2', undefined] : [undefined, `Bearer ${token}`]);
      expect(fieldValue(fields, 'x-auth-subject')).toBe('ann');
    }
  });

  it('refuses without a permit, a call or a stored response being left behind', async () => {
    await using service = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [service],
          concurrency: 1,
          routes: [{ match: { path: '/admin/**' }, auth: { require: { claims: { role: 'admin' } } } }],
        },
      },
    });
    const user = `Authorization: Bearer ${tokenFor('ann')}`;
    for (let n = 0; n < 5; n += 1)
      await expectProblem(
        await sendRaw(gateway.external, request('GET /shop/admin/x', user)),
        'insufficient_scope',
      );
    expect(service.requests).toEqual([]);
    const { gateway: whole } = gateway;
    await eventually('permits are back', () => whole.parts.limits.gateway.held === 0);
    const admin = `Authorization: Bearer ${tokenFor('eve', { role: 'admin' })}`;
    expect((await sendRaw(gateway.external, request('GET /shop/admin/x', admin))).status).toBe(200);
  });
});
