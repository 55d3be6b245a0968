import { parseArgs } from 'node:util';
import { FlagError, numberFlag } from '../support/flags.ts';

export const HELP = `Puts one fault at a time into source files and looks whether a test notices: a changed comparison, a number that is
one more, a negated condition, && for ||, a statement left out, an emptied string or return value.

Usage: npm run mutate -- PATH... [flags]      or      node tests/mutate/main.ts PATH... [flags]

  PATH                 a folder or file of source, such as lib/cache/rules; the tests of npm run test:all in the folder
                       that mirrors it (tests/lib/cache) are run, each on the faults of what it imports
  --with FOLDER        tests of this folder too, such as tests/composition; may be given several times
  --minutes 10         stop after so long, fractions allowed
  --seed N             the order in which faults are tried; the same seed gives the same one. Default: 1
  --workers 2          so many at a time
  --list               print the faults, and run nothing
  --help               this text

A line is printed for each fault that no test noticed, and a summary at the end. Nothing in this checkout is changed:
the faults are put into a copy. Exit code 1 when a fault was not noticed; 2 when a flag is wrong or a test fails as it is.`;

const MAX_SEED = 2 ** 31 - 1;
const DAY_MINUTES = 24 * 60;
const MAX_WORKERS = 64;

export interface Flags {
  readonly help: boolean;
  readonly list: boolean;
  readonly paths: readonly string[];
  readonly with: readonly string[];
  readonly minutes: number;
  readonly seed: number;
  readonly workers: number;
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  const { values, positionals } = readArgs(args);
  if (positionals.length === 0 && !values.help) {
    throw new FlagError('no path: expected one such as lib/cache. See --help.');
  }
  return {
    help: values.help,
    list: values.list,
    paths: positionals.map(withoutEnd),
    with: values.with.map(withoutEnd),
    minutes: numberFlag('minutes', values.minutes, 0.1, DAY_MINUTES),
    seed: Math.floor(numberFlag('seed', values.seed, 0, MAX_SEED)),
    workers: Math.floor(numberFlag('workers', values.workers, 1, MAX_WORKERS)),
  };
}

function withoutEnd(path: string): string {
  return path.replace(/^\.\//, '').replace(/\/+$/, '');
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        list: { type: 'boolean', default: false },
        with: { type: 'string', multiple: true, default: [] },
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string', default: '1' },
        workers: { type: 'string', default: '2' },
      },
    });
  } catch (error) {
    throw new FlagError(`${Error.isError(error) ? error.message : error}. See --help.`);
  }
}
