import { expect, it } from '@jest/globals';
import { Roster } from '../../../lib/util/roster.ts';

it('lists who is here, the first to come first, whoever leaves in between', () => {
  const roster = new Roster<string>();
  const [ann, bob, eve] = ['ann', 'bob', 'eve'].map((who) => roster.enter(who));
  expect([roster.oldest, ...roster]).toEqual(['ann', 'ann', 'bob', 'eve']);
  bob?.leave();
  expect([...roster]).toEqual(['ann', 'eve']);
  ann?.leave();
  ann?.leave();
  expect([roster.oldest, ...roster]).toEqual(['eve', 'eve']);
  eve?.leave();
  expect([roster.oldest, ...roster]).toEqual([undefined]);
  roster.enter('zoe');
  expect([...roster]).toEqual(['zoe']);
});

it('goes on with its list while somebody who was named leaves', () => {
  const roster = new Roster<string>();
  const places = new Map(['ann', 'bob', 'eve'].map((who) => [who, roster.enter(who)]));
  const named: string[] = [];
  for (const who of roster) {
    named.push(who);
    if (who === 'bob') places.get('ann')?.leave();
  }
  expect(named).toEqual(['ann', 'bob', 'eve']);
  expect([...roster]).toEqual(['bob', 'eve']);
});
