import { expect, it } from '@jest/globals';
import { cache } from '../../../lib/cache/middleware.ts';
import { timeout } from '../../../lib/timeout/middleware.ts';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

const TIMEOUT_MS = 300;

// The cache has a timer of its own for the same moment. Where it fired first, it said 504 and nobody counted.
it.each([0, 1, 2])(
  'counts a request that runs out of time where the cache is %d ms earlier',
  async (earlyMs) => {
    const clock = new ManualClock();
    let timeouts = 0;
    let calls = 0;
    await using app = await bareApp([
      timeout({ timeoutMs: TIMEOUT_MS, clock, onTimeout: () => (timeouts += 1) }),
      cache({
        store: memoryStore(clock),
        origin: () => (calls += 1),
        defaultTtlMs: 1_000,
        maxBodyBytes: 1_000,
        clock: {
          now: () => clock.now() + earlyMs,
          ticks: () => clock.ticks(),
          after: (ms, callback) => clock.after(ms, callback),
        },
      }),
    ]);
    const answer = call(app.url);
    await eventually('the service is asked', () => calls === 1);
    clock.advance(TIMEOUT_MS - earlyMs);
    clock.advance(earlyMs);
    expect((await answer).status).toBe(504);
    expect(timeouts).toBe(1);
    expect(clock.pending).toBe(0);
  },
);
