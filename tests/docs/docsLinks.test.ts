import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'tests/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

describe('the pages', () => {
  it.each(PAGES)('%s links only to files and headings that there are', (page) => {
    const links = [...prose(read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link);
    expect(links.filter((link) => !leadsSomewhere(page, link))).toEqual([]);
  });

  it.each(PAGES.filter((page) => page !== 'docs/README.md'))('docs/README.md leads to %s', (page) => {
    expect(read('docs/README.md')).toContain(`](${relative('docs', page)})`);
  });

  it('README.md leads to the pages by question, which are one screen', () => {
    expect(read('README.md')).toContain('](docs/README.md)');
    expect(read('docs/README.md').split('\n').length).toBeLessThanOrEqual(50);
  });
});

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', fragment] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, target))) return false;
  return fragment === undefined || !target.endsWith('.md') || anchorsOf(target).has(fragment);
}

/** What GitHub makes of the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const headings = read(page).matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    Array.from(headings, ([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Without blocks of code. */
function prose(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```$/gm, '');
}
