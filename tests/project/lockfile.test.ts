import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

interface Package {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optional?: boolean;
  readonly link?: boolean;
}

type Lock = { readonly packages: Readonly<Record<string, Package>> };

const read = (path: string): Lock => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));

const { packages } = read('../../package-lock.json');
/** What npm wrote down as it installed them, each checked against its hash. */
const { packages: installed } = read('../../node_modules/.package-lock.json');

describe('package-lock.json', () => {
  it('has the SHA-512 of every package; only those of other platforms, never installed here, may lack it', () => {
    const without = Object.entries(packages).filter(
      ([path, { integrity }]) => path !== '' && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
    );
    expect(without.filter(([path, { optional }]) => !optional || path in installed)).toEqual([]);
  });

  it('is what is installed, hash by hash', () => {
    const entries = Object.entries(installed);
    expect(entries.length).toBeGreaterThan(300);
    for (const [path, { version, integrity }] of entries) {
      expect([path, packages[path]?.version, packages[path]?.integrity]).toEqual([path, version, integrity]);
    }
  });

  it('takes every package from the registry in use: no URL, no repository, no directory', () => {
    const elsewhere = Object.entries(packages).filter(([, { resolved, link }]) => resolved || link);
    expect(elsewhere).toEqual([]);
  });
});
