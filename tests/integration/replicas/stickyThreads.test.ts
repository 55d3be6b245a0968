import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

it('all threads take the cookies of one another, also where no secret is set', async () => {
  await using first = await startUpstream();
  await using second = await startUpstream();
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  await using gateway = await startGatewayProcess({
    services: {
      '/shop': { upstreams: [first, second], auth: 'none', balance: { sticky: 'cookie' }, cacheTtl: 'off' },
    },
    env: { WORKERS: '2', JWT_SECRET: '', JWT_PUBLIC_KEY: pem },
  });
  const url = `${gateway.external}/shop/x`;
  const [set = ''] = (await call(url)).headers['set-cookie'] ?? [];
  // Each on a connection of its own, which either thread may have.
  for (let n = 0; n < 40; n += 1) {
    const { status, headers } = await call(url, { headers: { Cookie: set.split(';')[0] } });
    expect([status, headers['set-cookie']]).toEqual([200, undefined]);
  }
  expect([first.requests.length, second.requests.length].toSorted((a, b) => a - b)).toEqual([0, 41]);
}, 30_000);
