import { expect, it } from '@jest/globals';
import { LinkedSet } from '../../../lib/util/linkedSet.ts';

it('lists who is here, the first to come first, whoever leaves in between', () => {
  const set = new LinkedSet<string>();
  const [ann, bob, eve] = ['ann', 'bob', 'eve'].map((who) => set.enter(who));
  expect([set.oldest, ...set]).toEqual(['ann', 'ann', 'bob', 'eve']);
  bob?.leave();
  expect([...set]).toEqual(['ann', 'eve']);
  ann?.leave();
  ann?.leave();
  expect([set.oldest, ...set]).toEqual(['eve', 'eve']);
  eve?.leave();
  expect([set.oldest, ...set]).toEqual([undefined]);
  set.enter('zoe');
  expect([...set]).toEqual(['zoe']);
});

it('goes on with its list while somebody who was named leaves', () => {
  const set = new LinkedSet<string>();
  const places = new Map(['ann', 'bob', 'eve'].map((who) => [who, set.enter(who)]));
  const named: string[] = [];
  for (const who of set) {
    named.push(who);
    if (who === 'bob') places.get('ann')?.leave();
  }
  expect(named).toEqual(['ann', 'bob', 'eve']);
  expect([...set]).toEqual(['bob', 'eve']);
});
