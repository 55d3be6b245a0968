import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CODINGS, type Coding } from '../../../lib/compression/codings.ts';
import { chosenCoding } from '../../../lib/compression/rules/acceptEncoding.ts';
import { cases } from '../../support/cases.ts';

describe('chosenCoding', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip, deflate, br', 'br'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['*', 'zstd'],
    ['br;q=0.5, gzip;q=0.9', 'gzip'],
    ['zstd;q=0, *', 'br'],
    ['gzip;q=0', undefined],
    ['gzip;q=0, x-gzip', undefined],
    ['*;q=0', undefined],
    ['identity', undefined],
    ['identity, gzip', 'gzip'],
    ['identity;q=1, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    // Nothing that is left is acceptable: identity is sent all the same.
    ['identity;q=0', undefined],
    ['identity;q=0, deflate', undefined],
    ['*;q=0, identity', undefined],
    ['deflate', undefined],
    [' ,gzip ; q=0.3 ,, br\t;\tQ=0.2', 'gzip'],
    ['gzip;q=1.000', 'gzip'],
    ['gzip;q=0.000', undefined],
    // What cannot be read is identity.
    ['gzip;q=2', undefined],
    ['gzip;q=0.1234', undefined],
    ['gzip;q=', undefined],
    ['gzip;level=9', undefined],
    ['gzip br', undefined],
    ['gzip, "br"', undefined],
    ['gzip;q=0.5;q=1', undefined],
  ])('of %j chooses %j', (field, coding) => {
    expect(chosenCoding(field, CODINGS)).toBe(coding);
  });

  it('prefers as the server does', () => {
    expect(chosenCoding('gzip, br, zstd', ['gzip', 'br'])).toBe('gzip');
    expect(chosenCoding('zstd', ['gzip', 'br'])).toBeUndefined();
  });

  it('chooses nothing that a client refuses, and nothing worse than it could', () => {
    const weight = fc.integer({ min: 0, max: 1000 });
    const name = fc.constantFrom('zstd', 'br', 'gzip', 'deflate', 'identity', '*');
    const field = fc.uniqueArray(fc.tuple(name, weight), { selector: ([each]) => each });
    fc.assert(
      fc.property(field, fc.shuffledSubarray([...CODINGS], { minLength: 1 }), (items, codings) => {
        const text = items.map(([each, q]) => `${each};q=${(q / 1000).toFixed(3)}`).join(', ');
        expect(chosenCoding(text, codings)).toBe(model(new Map(items), codings));
      }),
      cases(500),
    );
  });

  it('never fails, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (field) => {
        const chosen = chosenCoding(field, CODINGS);
        expect(chosen === undefined || CODINGS.includes(chosen)).toBe(true);
      }),
      cases(500),
    );
  });
});

/** RFC 9110 section 12.5.3 in as many words: weigh all, sort. */
function model(weights: ReadonlyMap<string, number>, codings: readonly Coding[]): Coding | undefined {
  const candidates = codings.map((coding, place) => ({
    coding: coding as Coding | undefined,
    place,
    weight: weights.get(coding) ?? weights.get('*') ?? 0,
  }));
  const acceptable = candidates.filter(({ weight }) => weight > 0);
  const all = [...acceptable, { coding: undefined, place: 9, weight: weights.get('identity') ?? 0 }];
  return all.toSorted((a, b) => b.weight - a.weight || a.place - b.place)[0]?.coding;
}
