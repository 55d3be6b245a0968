import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { listVariables } from '../../config/variables.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = [
  'README.md',
  'SECURITY.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** `DRAIN_TIMEOUT` (8 s): a setting with what a page says is its default. */
const STATED = /`([A-Z][A-Z_]+)` \(`?([\d.,]+(?: (?:ms|s|min|MiB|KiB))?)`?[),]/g;
const known = new Map(listVariables().map(([, variable]) => [variable.name, variable]));

const stated = PAGES.flatMap((page) =>
  Array.from(readFileSync(join(ROOT, page), 'utf8').matchAll(STATED), ([, name = '', value = '']) => {
    return { page, name, value };
  }),
).filter(({ name }) => known.get(name)?.default !== undefined);

describe('the pages', () => {
  it('say the defaults of settings, many times', () => {
    expect(stated.length).toBeGreaterThan(15);
  });

  it.each(stated)('$page says that $name is $value by default', ({ name, value }) => {
    const { kind, default: text } = known.get(name) ?? {};
    const asTyped = value.replaceAll(',', '').replace(' min', 'm').replace(' ', '');
    expect(kind?.schema.parse(asTyped)).toEqual(kind?.schema.parse(text));
  });
});
