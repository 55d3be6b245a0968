import {
  type Command,
  type Flag,
  FlagError,
  helpOf,
  number,
  onOff,
  parseCommand,
} from '../../config/commandLine/flags.ts';

const MAX_SEED = 2 ** 31 - 1;
const DAY_MINUTES = 24 * 60;
const MAX_WORKERS = 64;

const folders: Flag<readonly string[]> = {
  shown: 'FOLDER',
  help: 'tests of this folder too, such as tests/composition; may be given several times',
  read: (_name, given) => given.map(withoutEnd),
};

const flags = {
  with: folders,
  minutes: number(10, { min: 0.1, max: DAY_MINUTES }, 'stop after so long, fractions allowed'),
  seed: number(
    1,
    { min: 0, max: MAX_SEED, whole: true },
    'the order in which faults are tried; the same seed gives the same one',
  ),
  workers: number(2, { min: 1, max: MAX_WORKERS, whole: true }, 'so many at a time'),
  list: onOff('print the faults, and run nothing'),
};

const COMMAND: Command<typeof flags> = {
  about: `Puts one fault at a time into source files and looks whether a test notices: a changed comparison, a number that is
one more, a negated condition, && for ||, a statement left out, an emptied string or return value.`,
  usage: ['npm run mutate --', 'node tests/mutate/main.ts'],
  words: 'PATH...',
  flags,
  notes: `A PATH is a folder or file of source, such as lib/cache/rules; the tests of npm run test:all in the folder that mirrors
it (tests/lib/cache) are run, each on the faults of what it imports.

A line is printed for each fault that no test noticed, and a summary at the end. Nothing in this checkout is changed:
the faults are put into a copy. Exit code 1 when a fault was not noticed; 2 when a flag is wrong or a test fails as it is.`,
};

export const HELP = helpOf(COMMAND);

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
  const { values, words } = parseCommand(COMMAND, args);
  if (words.length === 0 && !values.help) {
    throw new FlagError('no path: expected one such as lib/cache. See --help.');
  }
  return { ...values, paths: words.map(withoutEnd) };
}

function withoutEnd(path: string): string {
  return path.replace(/^\.\//, '').replace(/\/+$/, '');
}
