import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RouteRule } from '../../../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../../../lib/routing/routeTable.ts';
import { cases } from '../../support/cases.ts';
import { FRAMEWORKS, matches, moreSpecific, winnerOf } from './reference.ts';

const METHODS = ['GET', 'POST', 'DELETE'];
const HOSTS = ['a.test', 'b.a.test', '*.a.test', '*.test'];
const LITERALS = ['a', 'A', 'b', 'a.b', '%61', '%2F', 'b%20'];

const segment = fc.constantFrom(...LITERALS, '*', ':x', ':y');
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom('', '', '/', '/**'))
  .filter(([segments]) => segments.filter((each) => each === ':x').length < 2)
  .filter(([segments]) => segments.filter((each) => each === ':y').length < 2)
  .map(([segments, end]) => segments.map((each) => `/${each}`).join('') + end || '/');

const rule = (spelling: fc.Arbitrary<RouteRule['spelling']>) =>
  fc.record({
    match: fc.record(
      {
        host: fc.constantFrom(...HOSTS),
        path: pattern,
        methods: fc.uniqueArray(fc.constantFrom(...METHODS), { minLength: 1, maxLength: 2 }),
        headers: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('1', '2'), { maxKeys: 2 }),
        priority: fc.integer({ min: 0, max: 1 }),
      },
      { requiredKeys: ['path'] },
    ),
    spelling,
  });

const named = (rules: readonly Omit<RouteRule, 'name'>[]): RouteRule[] =>
  rules.map((each, index) => ({ ...each, name: `rule${index}` }));

/** Rules without those that must not stand beside the ones before them. */
function compatible(rules: readonly RouteRule[]): RouteRule[] {
  const clashing = new Set(new RouteTable(rules).clashes.map(([, later]) => later));
  return rules.filter((each) => !clashing.has(each));
}

const request = fc.record({
  method: fc.constantFrom(...METHODS, 'HEAD', 'PUT'),
  headers: fc.record(
    {
      host: fc.constantFrom('a.test', 'A.test:80', 'b.a.test', 'c.b.a.test', 'other', ''),
      'x-a': fc.constantFrom('1', '2'),
      'x-b': fc.constantFrom('1', '2'),
    },
    { requiredKeys: ['host'] },
  ),
});

/** Spellings of what the patterns are made of, and what some service takes for nothing at all. */
const piece = fc.constantFrom(
  ...['a', 'A', 'b', '%61', '%2561', '%C1%A1', '%EF%BD%81', 'a.b', 'a%2eb', 'b%20', 'c', 'b.'],
  ...[
    '/',
    '//',
    '%2f',
    '%2F',
    '%252f',
    '%5c',
    '%255c',
    ';x',
    '%3b',
    ';a=b/',
    '%3f',
    '%253f',
    '%2523',
    '/%252e',
    '%252e%252e',
  ],
);
const target = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);
const plainTarget = fc
  .array(fc.constantFrom(...LITERALS, 'c', ''), { maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`);

const exact = fc.constant('exact' as const);
const either = fc.constantFrom('exact' as const, 'any' as const);

it('the naive matcher finds the same route', () => {
  fc.assert(
    fc.property(fc.array(rule(exact), { maxLength: 12 }), request, plainTarget, (written, asked, path) => {
      const rules = compatible(named(written));
      const found = new RouteTable(rules).find(asked, path);
      expect(found === AMBIGUOUS ? found : found?.rule.name).toBe(winnerOf(rules, asked, path)?.name);
    }),
    cases(2_000),
  );
});

it('the order of the rules does not matter', () => {
  const shuffled = fc
    .array(rule(either), { maxLength: 10 })
    .map((written) => compatible(named(written)))
    .chain((rules) => fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })));
  fc.assert(
    fc.property(shuffled, request, fc.oneof(target, plainTarget), ([rules, others], asked, path) => {
      const [found, same] = [rules, others].map((each) => new RouteTable(each).find(asked, path));
      expect(same === AMBIGUOUS ? same : same?.rule.name).toBe(
        found === AMBIGUOUS ? found : found?.rule.name,
      );
    }),
    cases(2_000),
  );
});

it('what some service reads as a protected path is never public', () => {
  let protectedOnes = 0;
  fc.assert(
    fc.property(
      fc.array(rule(either), { minLength: 1, maxLength: 8 }),
      request,
      fc.oneof(target, plainTarget),
      (written, asked, path) => {
        const rules = compatible(named(written));
        const found = new RouteTable(rules).find(asked, path);
        if (found === AMBIGUOUS || found?.isExact === false) {
          protectedOnes += 1;
          return;
        }
        for (const [name, read] of Object.entries(FRAMEWORKS)) {
          const keeping = rules.filter(
            (each) => each.spelling === 'any' && matches(each, asked, read(path), read.options),
          );
          const own = found && matches(found.rule, asked, read(path), read.options) ? found.rule : undefined;
          const lost = keeping.filter((each) => !own || !moreSpecific(own, each));
          expect([name, read(path), lost, found?.rule.match]).toEqual([
            name,
            read(path),
            [],
            found?.rule.match,
          ]);
        }
      },
    ),
    cases(3_000),
  );
  expect(protectedOnes).toBeGreaterThan(50);
});
