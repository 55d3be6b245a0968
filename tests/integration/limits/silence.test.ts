import { expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const DEADLINE_MS = 3000;
const THRESHOLD = 3;

it.each([1, 2])(
  'of %i replicas none is taken from a caller whom they serve by another whom they do not',
  async (count) => {
    const serve = () => startUpstream((req, res) => void (req.url === '/slow' || res.end('ok')));
    await using stack = new AsyncDisposableStack();
    const replicas = await Promise.all(Array.from({ length: count }, serve));
    for (const replica of replicas) stack.use(replica);
    const clock = new ManualClock();
    const env = { REQUEST_TIMEOUT: `${DEADLINE_MS}ms`, GET_CACHE_TTL: 'off' };
    await using gateway = await startGateway({ services: { '/up': replicas }, clock, env });
    const [ann, bob] = [tokenFor('ann'), tokenFor('bob')];
    const ask = async (token: string, path: string) =>
      (await call(`${gateway.external}/up/${path}`, { headers: bearer(token) })).status;
    const seen = () => replicas.reduce((sum, { requests }) => sum + requests.length, 0);

    for (let round = 0; round < 2; round += 1) {
      const before = seen();
      const slow = Array.from({ length: THRESHOLD * count }, () => ask(ann, 'slow'));
      await eventually('they wait', () => seen() === before + slow.length);
      clock.advance(DEADLINE_MS / 4);
      for (let n = 0; n < count; n += 1) expect(await ask(bob, 'quick')).toBe(200);
      clock.advance(DEADLINE_MS);
      expect(new Set(await Promise.all(slow))).toEqual(new Set([504]));
      for (let n = 0; n < 2 * count; n += 1) expect(await ask(bob, 'quick')).toBe(200);
    }
    expect(await gateway.metric('gateway_circuit_breaker_trips_total')).toBe(0);
  },
);
