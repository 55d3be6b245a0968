import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { suggest } from '../../config/report/suggest.ts';

/** Medians of fewer rounds are not compared with budgets. */
export const ROUNDS_TO_CHECK = 5;

const MAX_ROUNDS = 100;
/** V8 compiles up to there, and every proxy here becomes faster: by half and more after its first 10,000. */
const WARM_UP_REQUESTS = '60000';

/** Of every command of the bench. */
export interface CommonFlags {
  readonly help: boolean;
  /** Names of the subjects to measure; empty means all. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** How long each contender is under load in each round. */
  readonly seconds: number;
  /** Requests that each contender gets at the least before it is measured; 0: as few as can be. */
  readonly warmUp: number;
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
}

export interface Flags extends CommonFlags {
  readonly check: boolean;
  /** Another checkout, whose gateway is measured beside this one. */
  readonly against: string | undefined;
}

/** `COMMON_OPTIONS` as `readArgs` gives them. */
export type CommonValues = ReturnType<typeof readArgs<typeof COMMON_OPTIONS>>;

/** A flag that cannot be understood; the message says what is accepted. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** What every command of the bench accepts. */
export const COMMON_OPTIONS = {
  help: { type: 'boolean', short: 'h', default: false },
  only: { type: 'string', multiple: true, default: [] as string[] },
  rounds: { type: 'string', default: String(ROUNDS_TO_CHECK) },
  seconds: { type: 'string', default: '2' },
  'warm-up': { type: 'string', default: WARM_UP_REQUESTS },
  json: { type: 'string' },
} as const satisfies ParseArgsOptionsConfig;

/** Throws `FlagError`. `subjects` are the names that `--only` accepts. */
export function parseFlags(args: readonly string[], subjects: readonly string[]): Flags {
  const values = readArgs(args, {
    ...COMMON_OPTIONS,
    check: { type: 'boolean', default: false },
    against: { type: 'string' },
  });
  const common = commonFlags(values, subjects);
  const { rounds } = common;
  if (values.check && rounds < ROUNDS_TO_CHECK) {
    throw new FlagError(`--check needs --rounds of at least ${ROUNDS_TO_CHECK}, got ${rounds}`);
  }
  return { ...common, check: values.check, against: values.against };
}

/** Reads `COMMON_OPTIONS`. Throws `FlagError`. */
export function commonFlags(values: CommonValues, subjects: readonly string[]): CommonFlags {
  return {
    help: values.help,
    only: values.only.flatMap((value) => value.split(',')).map((name) => subjectNamed(name, subjects)),
    rounds: numberFlag('rounds', values.rounds, 1, MAX_ROUNDS),
    seconds: numberFlag('seconds', values.seconds, 0.1, 60),
    warmUp: numberFlag('warm-up', values['warm-up'], 0, 10_000_000),
    json: values.json,
  };
}

/** As `parseArgs`, but throws `FlagError`. */
export function readArgs<T extends ParseArgsOptionsConfig>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** A number in that range, whole when its minimum is. Throws `FlagError`. */
export function numberFlag(name: string, value: string, minimum: number, maximum: number): number {
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
