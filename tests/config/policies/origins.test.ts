import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { originsOf } from '../../../config/policies/origins.ts';
import { inherit, isMap } from '../../../config/policies/policy.ts';
import { cases } from '../../support/cases.ts';

const said = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>('off', false, 1, 2),
    fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 1 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.option(tie('value'), { nil: undefined }), {
      maxKeys: 3,
    }),
  ),
})).value;

/** Each value that is no object, and each policy with nothing in it, by its path. */
function leavesOf(value: unknown, path: readonly string[] = []): [string, unknown][] {
  if (value === undefined) return [];
  if (!isMap(value)) return [[path.join('.'), value]];
  const leaves = Object.entries(value).flatMap(([name, each]) => leavesOf(each, [...path, name]));
  return leaves.length > 0 || path.length !== 1 ? leaves : [[path.join('.'), {}]];
}

describe('originsOf', () => {
  it('names for each value that levels have together one that says it', () => {
    const policies = fc.dictionary(fc.constantFrom('cache', 'timeouts', 'limits'), said);
    const levels = fc.array(policies, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(levels, (all) => {
        const merged = all.reduceRight<unknown>((outer, inner) => inherit(inner, outer), undefined);
        const origins = originsOf(all.map((says, index) => ({ name: String(index), says })));
        const leaves = new Map(leavesOf(merged));
        expect([...origins.keys()].sort()).toEqual([...leaves.keys()].sort());
        for (const [path, names] of origins) {
          const own = new Map(leavesOf(all[Number(names[0])]));
          expect(names).toHaveLength(1);
          expect(own.get(path)).toEqual(leaves.get(path));
        }
      }),
      cases(2_000),
    );
  });

  it('takes the innermost, and nothing from beyond what replaces it all', () => {
    const levels = [
      { name: 'route', says: { cache: { shared: false }, timeouts: { request: 1 } } },
      { name: 'service', says: { cache: 'off', timeouts: { idle: 2 } } },
      { name: 'defaults', says: { cache: { ttl: 3 }, timeouts: { request: 4, idle: 5 } } },
    ];
    expect(Object.fromEntries(originsOf(levels))).toEqual({
      'cache.shared': ['route'],
      'timeouts.request': ['route'],
      'timeouts.idle': ['service'],
    });
  });

  it('names who turns a policy on that has all its defaults', () => {
    const levels = [
      { name: 'route', says: { compress: {} } },
      { name: 'service', says: { compress: 'off' } },
      { name: 'defaults', says: { compress: { floor: 1 } } },
    ];
    expect(Object.fromEntries(originsOf(levels))).toEqual({ compress: ['route'] });
  });

  it('follows what a policy itself makes of its levels', () => {
    const set = (name: string) => ({ [name]: { name, values: ['1'] } });
    const levels = [
      { name: 'route', says: { deny: ['c'], headers: { request: { remove: ['x-a'] } } } },
      { name: 'service', says: { deny: ['a'], headers: { request: { set: set('x-b') } } } },
      { name: 'defaults', says: { deny: ['a', 'b'], headers: { request: { set: set('x-a') } } } },
    ];
    expect(Object.fromEntries(originsOf(levels))).toEqual({
      deny: ['route', 'defaults'],
      'headers.request.remove': ['route'],
      'headers.request.set.x-b.name': ['service'],
      'headers.request.set.x-b.values': ['service'],
    });
  });
});
