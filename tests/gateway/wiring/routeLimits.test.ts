import { expect, it } from '@jest/globals';
import { Shares } from '../../../gateway/threads/shares.ts';
import { createLimits, createSharedLimits, type Limits } from '../../../gateway/wiring/limits.ts';
import { isPermit } from '../../../lib/concurrency/permits.ts';
import { load } from '../../support/gateway/settings.ts';
import { ManualClock } from '../../support/manualClock.ts';

const SETTINGS = load(
  { FAIR_SHARE: '1' },
  {
    'gateway.yaml': `
services:
  - name: a
    path: /a
    upstreams: [http://a]
    limits: { concurrency: 3, streams: 2 }
    routes:
      - { match: { path: /reports }, limits: { concurrency: 1 } }
      - { match: { path: /events }, limits: { streams: 1 } }
      - { match: { path: /plain }, limits: { body: 1KiB } }
routes:
  - { match: { path: /api/reports }, service: a, limits: { concurrency: 2 } }
  - { match: { path: /old }, redirect: { to: /new } }
`,
  },
);

const clock = new ManualClock();

function ofService(limits: Limits) {
  const service = limits.services.get('/a');
  if (!service) throw new Error('no such service');
  return service;
}

it("a route has those permits for itself that it says, and the rest are its service's", () => {
  const { requests, streams, routes } = ofService(createLimits(SETTINGS, clock));
  expect([...routes.keys()]).toEqual(['/a/reports', '/a/events', '/api/reports']);
  const [reports, events] = [routes.get('/a/reports'), routes.get('/a/events')];
  expect([reports?.requests.limit, events?.streams.limit]).toEqual([1, 1]);
  expect(reports?.streams).toBe(streams);
  expect(events?.requests).toBe(requests);
});

it('threads share the permits of a route, and those of one that ends are given back', () => {
  const main = new Shares(0, 3);
  const keeper = createSharedLimits(SETTINGS, main.of, clock);
  const [one, other] = [1, 2].map((threadNumber) => {
    return createSharedLimits(SETTINGS, new Shares(threadNumber, 3, main.buffers).of, clock);
  });
  const take = (limits: Limits | undefined) =>
    limits && ofService(limits).routes.get('/a/reports')?.requests.tryAcquire('ann');
  expect(isPermit(take(one) ?? 'full')).toBe(true);
  expect(take(other)).toBe('full');
  expect(ofService(keeper).routes.get('/a/reports')?.requests.held).toBe(1);
  expect(ofService(keeper).requests.held).toBe(0);
  keeper.leave(1);
  expect(isPermit(take(other) ?? 'full')).toBe(true);
});
