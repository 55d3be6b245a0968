import { expect, it } from '@jest/globals';
import { startGateway } from '../support/gateway/gateway.ts';
import { underWay } from '../support/gateway/nothingHeld.ts';
import { ManualClock } from '../support/manualClock.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

it('a 503, a timeout and a 500 trip it', async () => {
  const statuses = [503, undefined, 500];
  const clock = new ManualClock();
  // Without a status it says nothing.
  await using upstream = await startUpstream((_req, res) => {
    const status = statuses.shift();
    if (status !== undefined) res.writeHead(status).end();
  });
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
  const ask = async () => (await fetch(`${gateway.internal}/internal/budgeting/x`)).status;
  expect(await ask()).toBe(503);
  const silent = ask();
  await underWay(gateway, 1);
  clock.advance(3_000);
  expect(await silent).toBe(504);
  expect(await ask()).toBe(500);
  expect(await gateway.metric('gateway_circuit_breaker_state')).toBe(1);
  expect(await ask()).toBe(503);
  expect(upstream.requests).toHaveLength(3);
});
