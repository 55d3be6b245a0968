import {
  type Command,
  choice,
  type FlagValues,
  number,
  optionalNumber,
} from '../../config/commandLine/flags.ts';

const MAX_SEED = 2 ** 31 - 1;
const DAY_SECONDS = 24 * 60 * 60;

const flags = {
  seconds: number(60, { min: 0.1, max: DAY_SECONDS }, 'how long, fractions allowed'),
  seed: optionalNumber(
    'N',
    { min: 0, max: MAX_SEED, whole: true },
    'where to begin; the same seed gives the same cases. Default: another one each time',
  ),
  kind: choice(undefined, ['request', 'answer', 'route'], 'only cases of this kind. Default: all by turns'),
  cases: optionalNumber(
    'N',
    { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true },
    'stop after so many cases',
  ),
};

export type Flags = FlagValues<typeof flags>;

/** `npm run fuzz`. */
export const FUZZ_COMMAND: Command<typeof flags> = {
  about:
    'Sends the gateway odd requests, gives it odd answers and paths that are read in many ways, and looks whether it stays what it is.',
  usage: ['npm run fuzz --', 'node tests/fuzz/main.ts'],
  flags,
  notes:
    'Each finding is printed with the command that repeats it. Exit code 1 when there is one; 2 when a flag is wrong.',
};
