import { type Command, type FlagValues, number, onOff, text } from '../../config/commandLine/flags.ts';

/** Thirds of fewer samples tell nothing. */
const MIN_SAMPLES = 6;
const WEEK_MINUTES = 7 * 24 * 60;

const flags = {
  minutes: number(30, { min: 0.1, max: WEEK_MINUTES }, 'how long, fractions allowed'),
  clients: number(50, { min: 1, max: 1_000, whole: true }, 'how many are at it at a time'),
  samples: number(
    30,
    { min: MIN_SAMPLES, max: 1_000, whole: true },
    `how often the traffic pauses and the gateway is measured, ${MIN_SAMPLES} to 1000`,
  ),
  attacks: onOff('one token attacks all the while, each time in another way (npm run attacks -- --list)'),
  json: text('FILE', 'write every sample and the verdict to FILE'),
};

export type Flags = FlagValues<typeof flags>;

/** `npm run soak`. */
export const SOAK_COMMAND: Command<typeof flags> = {
  about: 'Sends a gateway good, bad and broken-off traffic for a while, and fails when anything in it grows.',
  usage: ['npm run soak --', 'node tests/soak/main.ts'],
  flags,
  notes: `What is measured once nothing is under way: resident memory, the heap after a collection, file descriptors, sockets,
timers and metric series. The first third is warm-up; the last third must not exceed the middle one. Exit code 1 when it
does, when a request is never let go, when a response is none of those expected, or when the gateway prints a secret; 2
when a flag is wrong.`,
};
