import { expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const HITS = 40;
/** Work in proportion to the length takes a fraction of that, in proportion to its square more. */
const MOST_CPU_MS = 2_000;

it('thousands of blanks in a field under Vary do not make a hit dear', async () => {
  await using service = await startUpstream((_req, res) => {
    res.writeHead(200, { Vary: 'Origin', 'Cache-Control': 'max-age=60' }).end('ok');
  });
  await using gateway = await startGateway({ services: { '/up': [service] } });
  const authorization = `Authorization: ${bearer(tokenFor('ann')).Authorization}`;
  const ask = async () => {
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /up/x', authorization, `Origin: a${' '.repeat(15_000)}b`));
    return await client.answer();
  };
  expect((await ask()).status).toBe(200);
  const before = process.cpuUsage();
  for (let n = 0; n < HITS; n += 1) expect((await ask()).field('X-Cache')).toBe('HIT');
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(MOST_CPU_MS);
});
