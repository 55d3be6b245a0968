import { parseArgs } from 'node:util';
import { FlagError, numberFlag } from '../support/flags.ts';
import type { Kind } from './fuzz.ts';

export const HELP = `Sends the gateway odd requests, gives it odd answers, and looks whether it stays what it is.

Usage: npm run fuzz -- [flags]      or      node tests/fuzz/main.ts [flags]

  --seconds 60             how long, fractions allowed
  --seed N                 where to begin; the same seed gives the same cases. Default: another one each time
  --kind request|answer    only cases of this kind. Default: both by turns
  --cases N                stop after so many cases
  --help                   this text

Each finding is printed with the command that repeats it. Exit code 1 when there is one; 2 when a flag is wrong.`;

const MAX_SEED = 2 ** 31 - 1;
const DAY_SECONDS = 24 * 60 * 60;

export interface Flags {
  readonly help: boolean;
  readonly seconds: number;
  /** Undefined: any. */
  readonly seed: number | undefined;
  readonly kind: Kind | undefined;
  readonly cases: number | undefined;
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  const { help, seconds, seed, kind, cases } = readArgs(args);
  return {
    help,
    seconds: numberFlag('seconds', seconds, 0.1, DAY_SECONDS),
    seed: seed === undefined ? undefined : wholeFlag('seed', seed, 0, MAX_SEED),
    kind: kind === undefined ? undefined : kindFlag(kind),
    cases: cases === undefined ? undefined : wholeFlag('cases', cases, 1, Number.MAX_SAFE_INTEGER),
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string' },
        kind: { type: 'string' },
        cases: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagError(`${Error.isError(error) ? error.message : error}. See --help.`);
  }
}

function kindFlag(given: string): Kind {
  if (given === 'request' || given === 'answer') return given;
  throw new FlagError(`--kind is "${given}": expected request or answer`);
}

function wholeFlag(name: string, given: string, min: number, max: number): number {
  const value = numberFlag(name, given, min, max);
  if (Number.isInteger(value)) return value;
  throw new FlagError(`--${name} is "${given}": expected a whole number from ${min} to ${max}`);
}
