import { describe, expect, it } from '@jest/globals';
import { load, problemsOf } from '../../../support/gateway/settings.ts';

const SERVICE = 'name: a, path: /a, upstreams: [http://a]';

function fileOf(defaults: string, service = '', route?: string) {
  const routes = route === undefined ? '' : `, routes: [{ match: { path: /r }, ${route} }]`;
  return {
    'gateway.yaml': `defaults: { ${defaults} }\nservices: [{ ${[SERVICE, service].filter(Boolean).join(', ')}${routes} }]`,
  };
}

function compressOf(...given: Parameters<typeof fileOf>) {
  const { services } = load({}, fileOf(...given));
  const [{ compress, routes: [own] = [] } = { compress: undefined }] = services;
  return { compress, route: own?.settings.compress, spelling: own?.spelling };
}

const RULES = {
  codings: ['zstd', 'br', 'gzip'],
  levels: { zstd: 3, br: 4, gzip: 6 },
  floorBytes: 1024,
  types: undefined,
};

describe('compress', () => {
  it.each(['', 'compress: off', 'compress: false'])('is off with %j', (defaults) => {
    expect(compressOf(defaults).compress).toBeUndefined();
  });

  it.each(['compress: on', 'compress: true', 'compress: {}'])('has its defaults with %j', (defaults) => {
    expect(compressOf(defaults).compress).toEqual(RULES);
  });

  it('is inherited field by field, and ended and begun again as a whole', () => {
    const { compress, route } = compressOf(
      'compress: { codings: [gzip], floor: 2KiB }',
      'compress: { level: { gzip: 1 } }',
      'compress: { level: { br: 9 }, types: [Text/*] }',
    );
    expect(compress).toEqual({
      ...RULES,
      codings: ['gzip'],
      floorBytes: 2048,
      levels: { ...RULES.levels, gzip: 1 },
    });
    expect(route).toEqual({ ...compress, levels: { zstd: 3, br: 9, gzip: 1 }, types: ['text/*'] });
    expect(compressOf('compress: { floor: 2KiB }', 'compress: on').compress).toEqual({
      ...RULES,
      floorBytes: 2048,
    });
    expect(compressOf('compress: { floor: 2KiB }', 'compress: off', 'compress: on').route).toEqual(RULES);
  });

  it('counts for every spelling of its path where a route ends it', () => {
    expect(compressOf('compress: on', '', 'compress: off')).toMatchObject({
      route: undefined,
      spelling: 'any',
    });
    expect(compressOf('', '', 'compress: on')).toMatchObject({ route: RULES, spelling: 'exact' });
  });

  it.each([
    ['compress: yes please', 'compress'],
    ['compress: { codings: [] }', 'codings'],
    ['compress: { codings: [gzip, gzip] }', 'each once'],
    ['compress: { codings: [deflate] }', 'zstd, br, gzip'],
    ['compress: { level: { gzip: 0 } }', '1 to 9'],
    ['compress: { level: { zstd: 20 } }', '1 to 19'],
    ['compress: { level: 5 }', 'gzip: 6'],
    ['compress: { floor: much }', 'size in bytes'],
    ['compress: { types: [json] }', 'media types'],
    ['compress: { min: 5 }', 'min'],
  ])('refuses %j', (defaults, words) => {
    const problems = problemsOf({}, fileOf(defaults));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
  });
});
