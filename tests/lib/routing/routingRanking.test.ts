import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { inOrder, ranked, whyFirst, whyNot } from '../../../lib/routing/ranking.ts';
import type { RouteMatch, RouteRule } from '../../../lib/routing/route.ts';
import { cases } from '../../support/cases.ts';

const rule = (match: RouteMatch, spelling: RouteRule['spelling'] = 'exact'): RouteRule => ({
  name: match.path,
  match,
  spelling,
});
const asked = { method: 'GET', headers: { host: 'a.test', 'x-v': '2' } };

describe('ranked', () => {
  it('gives all that match in the order in which they win', () => {
    const rules = ['/**', '/a/**', '/a/:id', '/b/**', '/a/b', '/a/b/c'].map((path) => rule({ path }));
    const { rules: found, isAmbiguous } = ranked(rules, asked, '/a/b?x');
    expect(found.map(({ name }) => name)).toEqual(['/a/b', '/a/:id', '/a/**', '/**']);
    expect(isAmbiguous).toBe(false);
    expect(ranked(rules, asked, '/a/b', { most: 2 }).rules.map(({ name }) => name)).toEqual([
      '/a/b',
      '/a/:id',
    ]);
  });

  it('gives those that a request could be for, where it can be read in two ways', () => {
    const rules = ['/a/**', '/b/**'].map((path) => rule({ path }, 'any'));
    const found = ranked(rules, asked, '/a%2f%252e%252e%2fb');
    expect(found.isAmbiguous).toBe(true);
    expect(found.rules.map(({ name }) => name)).toEqual(['/a/**', '/b/**']);
  });

  it('gives none where none matches', () => {
    expect(ranked([rule({ path: '/a' })], asked, '/b')).toEqual({ rules: [], isAmbiguous: false });
  });
});

describe('inOrder', () => {
  it('puts first whatever wins', () => {
    const match = fc.record(
      {
        path: fc
          .tuple(
            fc.array(fc.constantFrom('a', 'b', '*', ':x'), { maxLength: 3 }),
            fc.constantFrom('', '/', '/**'),
          )
          .filter(([segments]) => segments.filter((each) => each === ':x').length < 2)
          .map(([segments, end]) => segments.map((each) => `/${each}`).join('') + end || '/'),
        host: fc.constantFrom('a.test', 'b.a.test', '*.a.test', '*.test'),
        methods: fc.constantFrom(['GET'], ['GET', 'POST'], ['POST']),
        headers: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('1', '2'), { maxKeys: 2 }),
      },
      { requiredKeys: ['path'] },
    );
    const request = fc.record({
      method: fc.constantFrom('GET', 'POST'),
      headers: fc.record({
        host: fc.constantFrom('a.test', 'b.a.test', 'c'),
        'x-a': fc.constantFrom('1', '2'),
      }),
    });
    const target = fc.constantFrom('/', '/a', '/a/', '/a/b', '/b/a/c', '/c', '/a/b/a/b');
    let found = 0;
    fc.assert(
      fc.property(
        fc.array(match, { minLength: 4, maxLength: 12 }),
        request,
        target,
        (matches, wanted, path) => {
          // No two are equal: each has a priority of its own.
          const rules = matches.map((each, priority) => rule({ ...each, priority }));
          const [winner] = ranked(rules, wanted, path).rules;
          const first = inOrder(rules).find((each) => ranked([each], wanted, path).rules.length > 0);
          expect(first).toBe(winner);
          found += Number(winner !== undefined);
        },
      ),
      cases(2_000),
    );
    expect(found).toBeGreaterThan(500);
  });
});

describe('whyFirst', () => {
  it.each<[RouteMatch, RouteMatch, string]>([
    [{ path: '/a', host: 'a.test' }, { path: '/a' }, 'it names the host a.test, and the other none'],
    [
      { path: '/a', host: '*.b.test' },
      { path: '/a', host: '*.test' },
      'its host *.b.test is more exact than *.test',
    ],
    [{ path: '/a/b' }, { path: '/a/:id' }, 'at segment 2 it has b, and the other :id'],
    [{ path: '/a/*' }, { path: '/a/**' }, 'at segment 2 it has *, and the other **'],
    [{ path: '/a' }, { path: '/a/**' }, 'at segment 2 it has its end, and the other **'],
    [{ path: '/a', methods: ['GET'] }, { path: '/a' }, 'it names methods, and the other none'],
    [
      { path: '/a', headers: { x: '1', y: '1' } },
      { path: '/a', headers: { x: '1' } },
      'it asks for 2 fields, and the other for 1',
    ],
    [{ path: '/a', priority: 2 }, { path: '/a', priority: -1 }, "its priority is 2, and the other's -1"],
  ])('%j before %j', (one, other, reason) => {
    expect(whyFirst(rule(one), rule(other))).toBe(reason);
  });
});

describe('whyNot', () => {
  it.each<[RouteMatch, string | undefined]>([
    [{ path: '/a/b', methods: ['POST', 'PUT'] }, 'it is for POST, PUT'],
    [{ path: '/a/b', headers: { 'x-v': '3', 'x-w': '1' } }, 'it asks for x-v: 3 and x-w: 1'],
    [{ path: '/A/b' }, 'its path is spelt differently, and it matches byte for byte'],
    [{ path: '/c' }, undefined],
    [{ path: '/a/b', host: 'b.test' }, undefined],
    [{ path: '/a/b', headers: { 'x-v': '2' } }, undefined],
  ])('%j: %s', (match, reason) => {
    expect(whyNot(rule(match), asked, '/a/b')).toBe(reason);
  });
});
