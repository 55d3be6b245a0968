import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from '@jest/globals';
import { completeService } from '../../../config/routes/complete.ts';
import { toSend } from '../../../gateway/threads/sent.ts';
import { Shares } from '../../../gateway/threads/shares.ts';
import { ServiceReplicas } from '../../../gateway/wiring/services/replicas.ts';
import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import type { TripOrder } from '../../support/threads/trippers.ts';

const WITHIN_MS = 60_000;
const UPSTREAMS = ['http://a:80', 'http://b:80'];
const BREAKER = { threshold: 1, ratio: 0, windowMs: 60_000, cooldownMs: 3_600_000 };
const RULES = {
  service: { name: 'x', path: '/x', upstreams: UPSTREAMS },
  defaults: {
    concurrency: 10,
    streams: 10,
    requestTimeoutMs: 3000,
    idleTimeoutMs: 10_000,
    maxBodyBytes: 0,
    cacheTtlMs: 'off' as const,
    rates: [],
    breaker: BREAKER,
  },
  breaker: { ...BREAKER, slowStartMs: 0 },
};

it(
  'half of the replicas at most are open for bad responses, although threads trip them in the same microsecond',
  async () => {
    const threadCount = 1 + UPSTREAMS.length;
    const shares = new Shares(0, threadCount);
    const openings = shares.of('openings', () => ({ whole: 0 }));
    const keeper = new ServiceReplicas({
      service: completeService(RULES.service, RULES.defaults),
      ...RULES.breaker,
      clock: threadsClock,
      random: Math.random,
      threads: { threadCount, newShare: shares.allocate, openings },
      onBreakerEvent: () => {},
      onDeparted: () => {},
      onIdle: () => {},
    });
    const data = {
      threadCount,
      buffers: shares.buffers,
      sent: toSend(keeper.shared),
      barrier: new Int32Array(new SharedArrayBuffer(4)),
      rules: RULES,
    };
    const workers = UPSTREAMS.map((_, n) => {
      const workerData = { ...data, threadNumber: n + 1 };
      return new Worker(join(import.meta.dirname, '../../support/threads/trippers.ts'), {
        workerData,
        execArgv: [],
      });
    });
    const most = workers.map((worker, n) => {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      worker.once('message', resolve).once('error', reject);
      const replica = keeper.pool.replicas[n]?.key as string;
      worker.postMessage({ replica, rounds: 1_000, trippers: workers.length } satisfies TripOrder);
      return promise;
    });
    try {
      expect(await Promise.all(most)).toEqual([1, 1]);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
      keeper.dispose();
    }
  },
  WITHIN_MS,
);
