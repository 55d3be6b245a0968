import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FILES, FOLDERS, filesOf, LONGEST, TIERS, testFiles, tierOf } from '../tiers.ts';

const ROOT = join(import.meta.dirname, '../..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Test files that Jest would run for a script of package.json, by their paths below `tests`. */
function filesRunBy(script: string): string[] {
  const command: string = scripts[script];
  const before = command.startsWith('npm test && ') ? filesRunBy('test') : [];
  const flags = /--selectProjects( \w+)+/.exec(command)?.[0].split(' ') ?? [];
  const { stdout } = spawnSync('npm', ['run', '--silent', 'jest', '--', '--listTests', '--json', ...flags], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  const own: string[] = JSON.parse(stdout).map((path: string) => relative(join(ROOT, 'tests'), path));
  return [...before, ...own].sort();
}

describe('the tiers of the tests', () => {
  it('have each file in one of them: if not, name its folder in tests/tiers.ts', () => {
    expect(testFiles().filter((file) => tierOf(file) === undefined)).toEqual([]);
  });

  it('name only folders that have tests, and files that are one each', () => {
    const folders = new Set(testFiles().map((file) => file.split('/')[0]));
    expect(Object.keys(FOLDERS).sort()).toEqual([...folders].sort());
    const names = testFiles().map((file) => basename(file));
    for (const file of Object.keys(FILES)) expect(names.filter((name) => name === file)).toEqual([file]);
    expect(LONGEST.filter((file) => !names.includes(file))).toEqual([]);
  });

  it('are run by their commands, and no file is lost', () => {
    const [all, long] = [filesRunBy('test:all'), filesRunBy('test:long')];
    expect(filesRunBy('test')).toEqual(filesOf('unit'));
    expect(all).toEqual([...filesOf('unit'), ...filesOf('whole')].sort());
    expect([...all, ...long].sort()).toEqual(testFiles());
    expect(TIERS.every((tier) => filesOf(tier).length > 0)).toBe(true);
  });
});
