import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { call } from '../../support/clients/client.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { credentials, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { communicationServer } from '../../support/stack/hub.ts';

const USERS = Array.from({ length: 20 }, (_, n) => `user-${n}`);

/** That many replicas of a SignalR hub, each of which knows only what was negotiated with it. */
async function startHubs(count: number) {
  const hubs = Array.from({ length: count }, (_, n) => {
    const requests: string[] = [];
    const server = communicationServer({ service: 'communication', id: `hub-${n}` }, [
      (req, _res, next) => {
        requests.push(`${req.method} ${req.originalUrl}`);
        next();
      },
    ]);
    return { server, requests };
  });
  for (const { server } of hubs) await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    hubs,
    urls: hubs.map(({ server }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(hubs.map(({ server }) => end(server)));
    },
  };
}

async function end(server: Server): Promise<void> {
  server.closeAllConnections();
  if (server.listening) await once(server.close(), 'close');
}

/** Negotiates and connects, as a client that can set fields does; resolves to how the handshake went. */
async function connect(
  { external }: Pick<TestGateway, 'external'>,
  user: string,
  hub = '/communication/chatHub',
) {
  const headers = credentials('external', user) as Record<string, string>;
  const negotiated = await call(`${external}${hub}/negotiate?negotiateVersion=1`, {
    method: 'POST',
    headers,
  });
  expect(negotiated.status).toBe(200);
  const { connectionToken } = JSON.parse(String(negotiated.body));
  const socket = new WebSocket(`${external.replace('http', 'ws')}${hub}?id=${connectionToken}`, { headers });
  const { promise, resolve } = Promise.withResolvers<number | string>();
  socket.once('open', () => resolve('connected'));
  socket.once('unexpected-response', (_req, { statusCode = 0 }) => resolve(statusCode));
  socket.once('error', (error) => resolve(error.message));
  const outcome = await promise;
  socket.terminate();
  return outcome;
}

describe('a SignalR hub with several replicas', () => {
  it.each(['1', '2'])(
    'is negotiated with and connected to at the same one, WORKERS=%s',
    async (WORKERS) => {
      await using world = await startHubs(3);
      await using gateway = await startGatewayProcess({
        services: { '/communication': world.urls },
        env: { WORKERS },
      });
      for (const user of USERS) expect([user, await connect(gateway, user)]).toEqual([user, 'connected']);
      const shares = world.hubs.map(({ requests }) => requests.length);
      expect(shares.reduce((sum, share) => sum + share)).toBe(USERS.length);
      for (const share of shares) expect(share).toBeGreaterThan(0);
    },
    30_000,
  );

  it('loses nobody else when one replica is gone, and serves those who were there by another', async () => {
    await using world = await startHubs(3);
    await using gateway = await startGateway({ services: { '/communication': world.urls } });
    for (const user of USERS) await connect(gateway, user);
    const [dead] = world.hubs;
    await end((dead as (typeof world.hubs)[number]).server);
    for (const user of USERS) {
      // The first that find it gone are tried elsewhere, where nothing was negotiated for them.
      const outcomes = [
        await connect(gateway, user),
        await connect(gateway, user),
        await connect(gateway, user),
      ];
      expect(outcomes.at(-1)).toBe('connected');
    }
  });

  it('still gets its other requests by load', async () => {
    await using world = await startHubs(2);
    await using gateway = await startGateway({ services: { '/communication': world.urls } });
    const headers = credentials('external', 'ann') as Record<string, string>;
    for (let n = 0; n < 4; n += 1)
      await call(`${gateway.external}/communication/echo?id=${n}`, { method: 'POST', headers });
    expect(world.hubs.map(({ requests }) => requests.length)).toEqual([2, 2]);
  });
});
