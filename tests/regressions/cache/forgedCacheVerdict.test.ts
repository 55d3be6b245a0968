import { expect, it } from '@jest/globals';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// A service's own X-Cache took the place of the gateway's: a miss looked like a hit.
it('what a service says of its own cache does not pass for the gateway’s', async () => {
  await using upstream = await startUpstream((_req, res) =>
    res
      .writeHead(200, { 'x-cache': 'HIT', 'cache-status': ['a; hit', 'b; hit'], 'x-request-id': 'forged' })
      .end('ok'),
  );
  await using gateway = await startGateway({ services: { '/up': [upstream] } });
  const answer = await fetch(`${gateway.external}/up/x`, { headers: bearer(tokenFor('ann')) });
  expect(answer.headers.get('X-Cache')).toBe('MISS');
  expect(answer.headers.get('Cache-Status')).toBe('a; hit, b; hit, gateway; fwd=uri-miss');
  expect(answer.headers.get('X-Request-Id')).not.toBe('forged');
  // Without a verdict of the gateway's there is nothing to mix up.
  const internal = await fetch(`${gateway.internal}/internal/up/x`);
  expect(internal.headers.get('X-Cache')).toBe('HIT');
});
