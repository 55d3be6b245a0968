import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureCommand, INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { Shell, startInTerminal, type Terminal } from '../support/processes/shell.ts';
import { matches, readWalkthrough } from '../support/processes/walkthrough.ts';

const PAGES = [
  'README.md',
  'docs/walkthrough.md',
  'docs/tokens.md',
  'docs/troubleshooting.md',
  'docs/migrate-from-go.md',
];
/** What the pages ask their readers to have, by Debian package. */
const COMMANDS = {
  curl: 'curl',
  jq: 'jq',
  ab: 'apache2-utils',
  wrk: 'wrk',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  promtool: 'prometheus',
};
/** Where docs/troubleshooting.md finds Redis. */
process.env.REDIS = process.env.TEST_REDIS_URL;
/** For a machine that has other things to do as well: Redis is no worse for answering late. */
process.env.STORE_TIMEOUT = '2s';

beforeAll(() => {
  for (const [command, debianPackage] of Object.entries(COMMANDS)) ensureCommand(command, debianPackage);
}, INSTALLS_WITHIN_MS);

for (const page of PAGES) {
  const acts = readWalkthrough(readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8'));

  describe.each(acts)(`${page}: $start`, ({ start, steps }) => {
    let shell: Shell;
    let terminal: Terminal;

    beforeAll(async () => {
      // Here, since nobody would close it for a page that is skipped.
      shell = new Shell();
      // The packages are there: these tests run on them.
      const ready = start.includes('npm start') ? 'Gateway listening' : 'The playground is ready';
      terminal = await startInTerminal(start.replace('npm ci && ', ''), ready);
    }, 30_000);

    afterAll(async () => {
      shell?.close();
      await terminal?.ctrlC();
    }, 30_000);

    it.each(steps)(
      '$commands',
      async ({ commands, expected }) => {
        const output = await shell.type(commands);
        if (!matches(output, expected)) expect(output).toBe(expected.join('\n'));
        expect(matches(output, expected)).toBe(true);
      },
      30_000,
    );
  });
}

describe('matches', () => {
  it.each([
    ['one line', 'a', ['a'], true],
    ['another line', 'b', ['a'], false],
    ['a line too many', 'a\nb', ['a'], false],
    ['part of a line', '{"id":"1"}', ['{…}'], true],
    ['part of a line, over two lines', '{\n}', ['{…}'], false],
    ['any number of lines', 'a\nb\nc', ['a', '…', 'c'], true],
    ['signs that mean something elsewhere', 'a+b', ['a.b'], false],
  ])('%s', (_name, output, expected, result) => {
    expect(matches(output, expected)).toBe(result);
  });
});
