import { describe, expect, it } from '@jest/globals';
import { CoderLimit } from '../../../lib/compression/coderLimit.ts';
import { codedTag, withoutCoding } from '../../../lib/compression/rules/entityTags.ts';
import { compressibleTypes } from '../../../lib/compression/rules/mediaTypes.ts';

describe('entity tags', () => {
  it.each([
    ['"a"', '"a;coded=br"'],
    ['""', '";coded=br"'],
    ['W/"a"', 'W/"a"'],
    ['a', undefined],
    ['"a" ', undefined],
    ['"a"b"', undefined],
  ])('of %j is %j', (tag, coded) => {
    expect(codedTag(tag, 'br')).toBe(coded);
  });

  it('are taken back for one coding or for all', () => {
    const field = '"a;coded=br", W/"b", "c;coded=gzip","d"';
    expect(withoutCoding(field)).toBe('"a", W/"b", "c","d"');
    expect(withoutCoding(field, 'gzip')).toBe('"a;coded=br", W/"b", "c","d"');
    expect(withoutCoding('"a;coded=lz"')).toBe('"a;coded=lz"');
  });
});

describe('compressibleTypes', () => {
  it.each([
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/problem+json', true],
    ['text/html;charset=utf-8', true],
    ['image/svg+xml', true],
    ['application/x-ndjson', true],
    ['text/event-stream', false],
    ['Text/Event-Stream; charset=utf-8', false],
    ['image/png', false],
    ['video/mp4', false],
    ['application/zip', false],
    ['application/pdf', false],
    ['font/woff2', false],
    ['application/octet-stream', false],
    ['application/grpc', false],
    ['', false],
    [undefined, false],
  ])('says of %j %j', (type, is) => {
    const isCompressible = compressibleTypes(undefined);
    expect([isCompressible(type), isCompressible(type)]).toEqual([is, is]);
  });

  it('goes by a list instead, event streams never', () => {
    const isCompressible = compressibleTypes(['application/pdf', 'text/*']);
    const types = ['application/pdf', 'text/css', 'application/json', 'text/event-stream', 'textual/x'];
    expect(types.map(isCompressible)).toEqual([true, true, false, false, false]);
  });
});

describe('CoderLimit', () => {
  it('has so many places and no more, of which one caller has a part', () => {
    const limit = new CoderLimit({ most: 8 });
    const first = limit.take('a');
    expect([limit.take('a'), limit.take('a')].map((place) => place !== undefined)).toEqual([true, false]);
    for (const caller of ['b', 'c', 'd']) for (const _ of [1, 2]) expect(limit.take(caller)).toBeDefined();
    expect([limit.held, limit.take('e')]).toEqual([8, undefined]);
    first?.release();
    first?.release();
    expect([limit.held, limit.take('e') !== undefined, limit.take('a')]).toEqual([7, true, undefined]);
  });

  it('has none at 0, and one for a caller where there are few', () => {
    expect(new CoderLimit({ most: 0 }).take('a')).toBeUndefined();
    const limit = new CoderLimit({ most: 2 });
    expect([limit.take('a') !== undefined, limit.take('a')]).toEqual([true, undefined]);
  });

  it.each([[{ most: -1 }], [{ most: 1.5 }], [{ most: 1, mostOfOne: 0 }], [{ most: 1, mostOfOne: 2 }]])(
    'refuses %j',
    (options) => {
      expect(() => new CoderLimit(options)).toThrow(RangeError);
    },
  );
});
