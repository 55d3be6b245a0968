import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const COMMENT = /^\s*(?:\/\/|\/?\*)/;

/** The lines of code below `folder` that match, each with its file. */
function linesWith(pattern: RegExp, folder: string): string[] {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const path = join(ROOT, folder, name);
      const lines = readFileSync(path, 'utf8').split('\n');
      return lines
        .filter((line) => pattern.test(line) && !COMMENT.test(line))
        .map((line) => `${relative(ROOT, path)}: ${line.trim()}`);
    });
}

describe.each(['config', 'gateway', 'lib'])('no file of %s', (folder) => {
  // A class may call what it overrides.
  it('reads or sets a private field of an object of Node', () => {
    expect(linesWith(/(?<!\bsuper)\._[a-z]|\b_(?:header|closed|events|eventsCount)\b/, folder)).toEqual([]);
  });

  it('replaces a method of a response, but for the one writer', () => {
    const replaced = linesWith(/\w\.(?:writeHead|write|end|setHeader|flushHeaders) = /, folder);
    const others = replaced.filter((line) => !line.startsWith('lib/response/nodeMethods.ts: '));
    expect(others).toEqual([]);
  });
});

it('the one writer replaces three', () => {
  expect(linesWith(/res\.(?:writeHead|write|end) = /, 'lib')).toHaveLength(3);
});
