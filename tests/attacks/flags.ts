import { parseArgs } from 'node:util';
import { FlagError, numberFlag } from '../support/flags.ts';
import { attacks } from './attacks.ts';

export const HELP = `Lets one token attack a gateway while another user works, and compares what that user gets with what an equal rate
of harmless requests makes of it.

Usage: npm run attacks -- [flags]      or      node tests/attacks/main.ts [flags]

  --seconds 10     how long each run takes
  --pairs 3        how often attack and harmless requests take turns
  --only WORDS     only attacks whose name or finding has these words
  --json FILE      write every figure to FILE
  --list           name the attacks
  --help           this text

Exit code 1 when a request of the other user fails, when its p99 is more than 1.5 times that beside harmless requests
(the median of all pairs, and at least 3 ms more), when its stored responses are lost, or when the gateway needs more
memory than its documented bounds and 64 MiB; 2 when a flag is wrong.`;

export interface Flags {
  readonly help: boolean;
  readonly list: boolean;
  readonly seconds: number;
  readonly pairs: number;
  /** Names of the attacks to run. */
  readonly names: readonly string[];
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  const values = readArgs(args);
  const words = values.only ?? '';
  const names = Object.entries(attacks)
    .filter(([name, { finding }]) => name.includes(words) || finding === words)
    .map(([name]) => name);
  if (names.length === 0)
    throw new FlagError(`--only is "${words}": no attack has that in its name; see --list`);
  return {
    help: values.help,
    list: values.list,
    seconds: numberFlag('seconds', values.seconds, 1, 3_600),
    pairs: Math.round(numberFlag('pairs', values.pairs, 1, 100)),
    names,
    json: values.json,
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        list: { type: 'boolean', default: false },
        seconds: { type: 'string', default: '10' },
        pairs: { type: 'string', default: '3' },
        only: { type: 'string' },
        json: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagError(`${Error.isError(error) ? error.message : error}. See --help.`);
  }
}
