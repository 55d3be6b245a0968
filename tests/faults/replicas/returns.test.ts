import { describe, expect, it } from '@jest/globals';
import { COURSES, FAIR, gatewayRestarts, replicaReturns } from '../../returns/experiment.ts';
import { redisTestUrl } from '../../support/gateway/gateway.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';

const LONG_MS = 60_000;

const SETUPS = [
  { with: 'one thread', workers: 1, redis: false, courses: COURSES.slice(0, 1) },
  { with: 'two threads', workers: 2, redis: false, courses: COURSES.slice(1, 2) },
  { with: 'Redis', workers: 1, redis: true, courses: COURSES.slice(2) },
];

// Twenty times each, with every course: node tests/returns/main.ts
describe.each(SETUPS)('with $with, of three replicas', ({ workers, redis, courses }) => {
  const setup = { workers, redisUrl: redis ? redisTestUrl() : undefined };

  it.each(courses)(
    'one that is back gets its part of what comes one by one, and no GET fails (the load goes on: $loadGoesOn, the registry forgets: $forgets)',
    async (course) => {
      if (redis) await emptyTestRedis();
      const { part, failed } = await replicaReturns(setup, course);
      expect(failed).toEqual([]);
      expect(part).toBeGreaterThanOrEqual(FAIR.least);
      expect(part).toBeLessThanOrEqual(FAIR.most);
    },
    LONG_MS,
  );

  it.each([1, 50])(
    'none gets more than 40 % after a restart of the gateway, whatever they had before (%p connections)',
    async (connections) => {
      if (redis) await emptyTestRedis();
      const counts = await gatewayRestarts(setup, [9_000, 0, 300], { count: 440, connections });
      expect(counts.reduce((sum, count) => sum + count)).toBe(440);
      expect(Math.max(...counts)).toBeLessThanOrEqual(176);
    },
    LONG_MS,
  );
});
