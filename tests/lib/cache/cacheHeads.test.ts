import { expect, it } from '@jest/globals';
import { Heads } from '../../../lib/cache/rules/heads.ts';

const LONG = ['Content-Type', 'text/plain', 'ETag', '"v1"', 'X-Private', 'of ann alone'];

it('a head that says the same as the one before it, and less, inherits nothing', () => {
  const heads = new Heads();
  expect(heads.read(LONG).stored).toEqual(LONG);
  expect(heads.read(LONG.slice(0, 4)).stored).toEqual(LONG.slice(0, 4));
  expect(heads.read([]).stored).toEqual([]);
});

it('a head that says more than the one before it loses nothing', () => {
  const heads = new Heads();
  heads.read(LONG.slice(0, 2));
  expect(heads.read(LONG).stored).toEqual(LONG);
});

it('a head is not changed by the one that comes after it', () => {
  const heads = new Heads();
  const { stored } = heads.read(LONG);
  heads.read(LONG.with(5, 'of bob alone'));
  expect(stored).toEqual(LONG);
});
