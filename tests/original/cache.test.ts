import { expect, it } from '@jest/globals';
import { bearer, startGateway, tokenFor } from '../support/gateway/gateway.ts';
import { ManualClock } from '../support/manualClock.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

const headers = bearer(tokenFor('ann'));

/** What the cache says of two GETs, one after the other. */
async function twice(status: number, fields: Record<string, string>): Promise<(string | null)[]> {
  await using upstream = await startUpstream((_req, res) => void res.writeHead(status, fields).end());
  await using gateway = await startGateway({
    services: { '/budgeting': { upstreams: [upstream], breaker: 'off' } },
    clock: new ManualClock(),
  });
  const said: (string | null)[] = [];
  for (let n = 0; n < 2; n += 1) {
    const response = await fetch(`${gateway.external}/budgeting/x`, { headers, redirect: 'manual' });
    await response.arrayBuffer();
    said.push(response.headers.get('X-Cache'));
  }
  return said;
}

const MISSES = ['MISS', 'MISS'];
const THEN_A_HIT = ['MISS', 'HIT'];

it('a 200 that says nothing of its lifetime is stored', async () => {
  expect(await twice(200, {})).toEqual(THEN_A_HIT);
});

it.each([201, 203, 204, 301, 302, 404, 410, 500, 501, 503])(
  'a %d that says nothing of its lifetime is not stored',
  async (status) => {
    expect(await twice(status, {})).toEqual(MISSES);
  },
);

it.each([203, 204, 301, 302, 307, 308, 404, 410, 501])(
  'a %d that says for how long is stored',
  async (status) => {
    expect(await twice(status, { 'Cache-Control': 'max-age=60' })).toEqual(THEN_A_HIT);
  },
);
