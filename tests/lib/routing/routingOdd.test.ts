import { describe, expect, it } from '@jest/globals';
import { AMBIGUOUS, RouteTable } from '../../../lib/routing/routeTable.ts';

const table = new RouteTable([
  { name: 'public', match: { path: '/shop/pub/**' }, spelling: 'exact' },
  { name: 'admin', match: { path: '/shop/admin/**' }, spelling: 'any' },
  { name: 'rest', match: { path: '/shop/**' }, spelling: 'any' },
]);

function found(path: string): string | undefined {
  const route = table.find({ method: 'GET', headers: {} }, path);
  return route === AMBIGUOUS ? AMBIGUOUS : route?.rule.name;
}

describe('a path that may be read in several ways', () => {
  it.each([
    ['forty segments', `/shop/${'a;x/'.repeat(30)}b`],
    ['a long title in another script', `/shop/${'%D1%8F'.repeat(300)}`],
    ['many encoded slashes', `/shop/${'a%2F'.repeat(30)}b`],
  ])('is read up to %s', (_, path) => {
    expect(found(path)).toBe('rest');
  });

  it.each([
    ['more segments than any that means well', `/shop${'/;'.repeat(60)}`],
    ['more encoded ones', `/shop${'%252fa'.repeat(60)}`],
    ['more characters', `/shop/${'%41'.repeat(700)}`],
  ])('is refused with %s', (_, path) => {
    expect(found(path)).toBe(AMBIGUOUS);
  });

  it('is no path of ordinary characters, however long', () => {
    expect(found(`/shop${'/a-b_c.d~e@f:g,h'.repeat(400)}`)).toBe('rest');
  });
});
