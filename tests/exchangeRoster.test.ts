import { expect, it } from '@jest/globals';
import { Roster } from '../lib/exchange/roster.ts';

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
