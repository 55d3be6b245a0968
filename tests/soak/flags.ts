import { parseArgs } from 'node:util';
import { FlagError, numberFlag } from '../support/flags.ts';

export const HELP = `Sends a gateway good, bad and broken-off traffic for a while, and fails when anything in it grows.

Usage: npm run soak -- [flags]      or      node tests/soak/main.ts [flags]

  --minutes 30     how long, fractions allowed
  --clients 50     how many are at it at a time
  --samples 30     how often the traffic pauses and the gateway is measured, 6 to 1000
  --attacks        one token attacks all the while, each time in another way (npm run attacks -- --list)
  --json FILE      write every sample and the verdict to FILE
  --help           this text

What is measured once nothing is under way: resident memory, the heap after a collection, file descriptors, sockets,
timers and metric series. The first third is warm-up; the last third must not exceed the middle one. Exit code 1 when it
does, when a request is never let go, when an answer is none of those expected, or when the gateway prints a secret; 2
when a flag is wrong.`;

/** Thirds of fewer samples tell nothing. */
const MIN_SAMPLES = 6;

export interface Flags {
  readonly help: boolean;
  readonly minutes: number;
  readonly clients: number;
  readonly samples: number;
  /** Whether somebody attacks meanwhile. */
  readonly attacks: boolean;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  const values = readArgs(args);
  return {
    help: values.help,
    minutes: numberFlag('minutes', values.minutes, 0.1, 7 * 24 * 60),
    clients: Math.round(numberFlag('clients', values.clients, 1, 1_000)),
    samples: Math.round(numberFlag('samples', values.samples, MIN_SAMPLES, 1_000)),
    attacks: values.attacks,
    json: values.json,
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        minutes: { type: 'string', default: '30' },
        clients: { type: 'string', default: '50' },
        samples: { type: 'string', default: '30' },
        attacks: { type: 'boolean', default: false },
        json: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagError(`${Error.isError(error) ? error.message : error}. See --help.`);
  }
}
