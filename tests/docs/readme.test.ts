import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { errorsDocument } from '../../gateway/process/document.ts';

const ROOT = new URL('../..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const pages = readdirSync(new URL('docs', ROOT)).filter((name) => name.endsWith('.md'));

describe('README.md', () => {
  const readme = read('README.md');

  it('fits on three screens', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(150);
  });

  it('shows the services file of the example that it starts', () => {
    const shown = /^```json\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? '';
    expect(JSON.parse(shown)).toEqual(JSON.parse(read('examples/shop/gateway.json')));
  });
});

describe('CHANGELOG.md', () => {
  it('has what changes now on top, and then the release that package.json names', () => {
    const headings = Array.from(read('CHANGELOG.md').matchAll(/^## (\S+)/gm), ([, title]) => title);
    expect(headings.slice(0, 2)).toEqual(['Unreleased', JSON.parse(read('package.json')).version]);
  });
});

describe('docs/errors.md', () => {
  it('has the table of errors that the gateway really replies with: if not, run npm run docs', () => {
    expect(read('docs/errors.md')).toBe(errorsDocument(read('docs/errors.md')));
    expect(read('docs/errors.md')).toContain('| 404 | `no_such_service` |');
  });
});

describe.each(['README.md', 'CONTRIBUTING.md', ...pages.map((name) => `docs/${name}`)])('%s', (page) => {
  it('names only scripts that package.json has', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = [...read(page).matchAll(/npm run (?:-s )?([a-z][\w:]*)/g)].map(
      ([, name]) => name as string,
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
