import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { errorsDocument } from '../../gateway/process/document.ts';

const ROOT = new URL('../..', import.meta.url);
const readme = readFileSync(new URL('README.md', ROOT), 'utf8');

describe('README.md', () => {
  it('has the table of errors that the gateway really replies with: if not, run npm run docs', () => {
    expect(readme).toBe(errorsDocument(readme));
  });

  it('links only to what exists', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path as string);
    expect(links.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
    expect(links.length).toBeGreaterThan(0);
  });

  it('names only scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'));
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
