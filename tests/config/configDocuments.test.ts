import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadSettings } from '../../config/config.ts';
import { readDotenv } from '../../config/environment.ts';
import { envExample, settingsDocument } from '../../config/report/document.ts';
import { groupSettings, listVariables } from '../../config/variables.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('.env.example', () => {
  test('works as it is, outside production', () => {
    const dotenv = readDotenv(join(ROOT, '.env.example'));
    expect(Object.keys(dotenv)).toEqual(['JWT_SECRET']);
    expect(loadSettings(dotenv).externalPort).toBe(8000);
    expect(() => loadSettings({ ...dotenv, NODE_ENV: 'production' })).toThrow('JWT_SECRET is an example');
  });

  test('shows the default of every other setting', () => {
    const uncommented = readFileSync(join(ROOT, '.env.example'), 'utf8').replace(/^# (?=[A-Z_]+=)/gm, '');
    const dotenv = readDotenv('.env', () => uncommented);
    expect(Object.keys(dotenv).sort()).toEqual(
      listVariables()
        .map(([, { name }]) => name)
        .sort(),
    );
    expect(loadSettings(dotenv)).toEqual(loadSettings({ JWT_SECRET: dotenv.JWT_SECRET }));
  });

  test('is up to date: if not, run npm run docs', () => {
    expect(readFileSync(join(ROOT, '.env.example'), 'utf8')).toBe(envExample());
  });
});

describe('docs/settings.md', () => {
  const document = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8');

  test('is up to date: if not, run npm run docs', () => {
    expect(document).toBe(settingsDocument(document));
  });

  test('has one row for every setting', () => {
    const names = [...document.matchAll(/^\| `([A-Z_]+)` \|(?:[^|]+\|){3}$/gm)].map(([, name]) => name);
    expect(names).toEqual(listVariables().map(([, { name }]) => name));
  });

  test('has settings under every heading', () => {
    const empty = groupSettings().filter(({ settings }) => settings.length === 0);
    expect(empty.map(({ title }) => title)).toEqual([]);
  });
});
