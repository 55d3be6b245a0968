import { parseArgs } from 'node:util';
import { suggest } from '../config/suggest.ts';

/** Medians of fewer rounds are not compared with budgets. */
export const ROUNDS_TO_CHECK = 5;

const MAX_ROUNDS = 100;

export interface Flags {
  readonly help: boolean;
  readonly check: boolean;
  /** Names of the subjects to measure; empty means all. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** How long each contender is under load in each round. */
  readonly seconds: number;
  /** Another checkout, whose gateway is measured beside this one. */
  readonly against: string | undefined;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
}

/** A flag that cannot be understood; the message says what is accepted. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** Throws `FlagError`. `subjects` are the names that `--only` accepts. */
export function parseFlags(args: readonly string[], subjects: readonly string[]): Flags {
  const values = readArgs(args);
  const rounds = numberFlag('rounds', values.rounds, 1, MAX_ROUNDS);
  if (values.check && rounds < ROUNDS_TO_CHECK) {
    throw new FlagError(`--check needs --rounds of at least ${ROUNDS_TO_CHECK}, got ${rounds}`);
  }
  return {
    help: values.help,
    check: values.check,
    only: values.only.flatMap((value) => value.split(',')).map((name) => subjectNamed(name, subjects)),
    rounds,
    seconds: numberFlag('seconds', values.seconds, 0.1, 60),
    against: values.against,
    json: values.json,
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        check: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string', default: String(ROUNDS_TO_CHECK) },
        seconds: { type: 'string', default: '2' },
        against: { type: 'string' },
        json: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function numberFlag(name: string, value: string, minimum: number, maximum: number): number {
  const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  const isWhole = Number.isInteger(minimum);
  if (number >= minimum && number <= maximum && !(isWhole && !Number.isInteger(number))) return number;
  const kind = isWhole ? 'whole number' : 'number';
  throw new FlagError(
    `--${name} must be a ${kind} from ${minimum} to ${maximum}, got ${JSON.stringify(value)}`,
  );
}

function subjectNamed(name: string, subjects: readonly string[]): string {
  if (subjects.includes(name)) return name;
  const meant = suggest(name, subjects);
  const hint = meant ? ` (did you mean ${meant}?)` : '';
  throw new FlagError(
    `--only knows no subject ${JSON.stringify(name)}${hint}; the subjects are ${subjects.join(', ')}`,
  );
}
