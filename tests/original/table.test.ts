import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** How many promises were found in the original's document when it was last gone through. */
const AT_LEAST = 296;

interface Promised {
  readonly number: string;
  readonly promise: string;
  readonly kept: string;
  readonly test: string;
}

/** The rows of the one table, without those that name a section. */
const ROWS: readonly Promised[] = read('docs/original.md')
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [, number = '', promise = '', kept = '', test = ''] = line
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    return { number, promise, kept, test };
  });

/** `[file](../tests/file) "title"`: a test file, and the title of a test in it as its source has it. */
const NAMED_TEST = /\[[^\]]+\]\(\.\.\/(tests\/[\w/.]+\.test\.ts)\) "((?:[^"\\]|\\.)*)"/g;
/** `[page](page.md) ``command`` `: a page that tests/docs/walkthrough.test.ts types, and a line of a command in it. */
const TYPED_PAGE = /\[[^\]]+\]\(([\w-]+\.md)\) ``(.+?)``/g;

describe('docs/original.md', () => {
  it('has every promise in one table, numbered by the sections of the document', () => {
    expect(ROWS.length).toBeGreaterThanOrEqual(AT_LEAST);
    const next = new Map<string, number>();
    for (const { number } of ROWS) {
      const [section = '', place = ''] = number.split('.');
      const expected = (next.get(section) ?? 0) + 1;
      expect({ number, place: Number(place) }).toEqual({ number, place: expected });
      next.set(section, expected);
    }
    expect([...next.keys()]).toEqual(Array.from(next, (_, index) => String(index + 1)));
  });

  it('says of each where it is kept, in files that are there', () => {
    for (const { number, kept } of ROWS) {
      const [places = ''] = kept.split('<br>Differs');
      const paths = Array.from(places.matchAll(/`([\w./-]+)`/g), ([, path = '']) => path);
      expect({ number, paths: paths.length > 0 }).toEqual({ number, paths: true });
      expect({ number, missing: paths.filter((path) => !existsSync(join(ROOT, path))) }).toEqual({
        number,
        missing: [],
      });
    }
  });

  it('names a test for each, which is there under this title', () => {
    const missing = ROWS.flatMap(({ number, test }) => {
      const named = [...test.matchAll(NAMED_TEST)];
      const typed = [...test.matchAll(TYPED_PAGE)];
      if (named.length + typed.length === 0) return [`${number} names none`];
      return [
        ...named.filter(([, path = '', title = '']) => !titlesIn(path).has(unescaped(title))),
        ...typed.filter(([, page = '', command = '']) => !isTyped(`docs/${page}`, unescaped(command))),
      ].map(([text]) => `${number}: ${text}`);
    });
    expect(missing).toEqual([]);
  });

  it('says by which decision a promise is kept in another way', () => {
    const deviations = ROWS.filter(({ kept }) => kept.includes('Differs'));
    expect(deviations.length).toBeGreaterThan(10);
    expect(
      deviations.filter(({ kept }) => !kept.includes('](decisions.md#')).map(({ number }) => number),
    ).toEqual([]);
  });
});

describe('docs/migrate-from-go.md', () => {
  it('has every decision by which a promise is kept in another way', () => {
    const decisions = (text: string) => new Set(text.match(/decisions\.md#[\w-]+/g));
    const differs = ROWS.map(({ kept }) => kept).join(' ');
    expect([...decisions(differs)].sort()).toEqual([...decisions(read('docs/migrate-from-go.md'))].sort());
  });
});

const titles = new Map<string, ReadonlySet<string>>();

/** What `it`, `test` and `describe` are given for a title in this file, `each` and tables included. */
function titlesIn(path: string): ReadonlySet<string> {
  const known = titles.get(path);
  if (known) return known;
  const found = existsSync(join(ROOT, path)) ? new Set(titlesOf(read(path))) : new Set<string>();
  titles.set(path, found);
  return found;
}

function titlesOf(source: string): string[] {
  const calls = source.matchAll(
    /(?:\b(?:it|test|describe)|[\])])\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g,
  );
  return Array.from(calls, ([, single, double, template]) => unescaped(single ?? double ?? template ?? ''));
}

function isTyped(page: string, command: string): boolean {
  const blocks = read(page).matchAll(/^```bash\n([\s\S]*?)^```$/gm);
  const isThere = Array.from(blocks, ([, text = '']) => text).some((text) => text.includes(command));
  return isThere && read('tests/docs/walkthrough.test.ts').includes(`'${page}'`);
}

/** Without the backslashes that Markdown's tables and string literals need. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, '$1');
}
