import { expect, it } from '@jest/globals';
import { rendered } from '../../../lib/metrics/rendered.ts';
import { deferred } from '../../support/deferred.ts';
import { ManualClock } from '../../support/manualClock.ts';

it('serves all who ask within a second with one text, counted from its beginning', async () => {
  const clock = new ManualClock();
  let count = 0;
  const render = async () => {
    count += 1;
    return String(count);
  };
  const text = rendered({ render, everyMs: 1_000, clock });
  expect(await Promise.all([text(), text(), text()])).toEqual(['1', '1', '1']);
  clock.advance(999);
  expect(await text()).toBe('1');
  clock.advance(1);
  expect(await text()).toBe('2');
});

it('never renders twice at a time, however long that takes', async () => {
  const clock = new ManualClock();
  const slow = deferred<string>();
  let count = 0;
  const text = rendered({
    render: () => {
      count += 1;
      return slow.promise;
    },
    everyMs: 1_000,
    clock,
  });
  const first = text();
  clock.advance(60_000);
  const second = text();
  slow.resolve('slow');
  expect(await Promise.all([first, second])).toEqual(['slow', 'slow']);
  expect(count).toBe(1);
  await text();
  expect(count).toBe(2);
});

it('forgets what failed', async () => {
  const clock = new ManualClock();
  const results = [Promise.reject(new Error('once')), Promise.resolve('text')];
  const text = rendered({ render: () => results.shift() as Promise<string>, everyMs: 1_000, clock });
  await expect(text()).rejects.toThrow('once');
  expect(await text()).toBe('text');
});
