import { expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { says, startRawUpstream } from '../../support/upstreams/upstream.ts';

// The deadline was set behind the queue: who waited for a permit could wait for ever.
it('a request that waits for a permit meets its deadline', async () => {
  const clock = new ManualClock();
  const endlessly = says('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\na beginning');
  await using upstream = await startRawUpstream(endlessly);
  await using gateway = await startGateway({
    services: { '/up': [upstream] },
    env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '1' },
    clock,
  });
  const headers = bearer(tokenFor('ann'));
  const endless = await fetch(`${gateway.external}/up/x`, { headers });
  await underWay(gateway, 1);
  const waiting = fetch(`${gateway.external}/up/x`, { headers });
  await eventually('it waits', () => gateway.gateway.parts.services[0]?.limits.requests.waiting === 1);
  clock.advance(3_000);
  await expectProblem(await waiting, 'request_timeout');
  await endless.body?.cancel();
  expect(upstream.requests).toHaveLength(1);
});
