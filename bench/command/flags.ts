import { names, number, text } from '../../config/commandLine/flags.ts';

/** Medians of fewer rounds are not compared with budgets. */
export const ROUNDS_TO_JUDGE = 5;

const MAX_ROUNDS = 100;
/** V8 compiles up to there, and every proxy here becomes faster: by half and more after its first 10,000. */
const WARM_UP_REQUESTS = 60_000;

/** What every command of the bench accepts that measures in rounds. `example` is what the help shows for `--only`. */
export function commonFlags(example: string, subjects: readonly string[], what: string) {
  return {
    only: names(
      example,
      subjects,
      what,
      `measure just these ${what}s; repeat it or separate by commas. Default: all`,
    ),
    rounds: number(
      ROUNDS_TO_JUDGE,
      { min: 1, max: MAX_ROUNDS, whole: true },
      `how often each is measured, 1 to ${MAX_ROUNDS}, after a warm-up`,
    ),
    seconds: number(2, { min: 0.1, max: 60 }, 'how long it is under load each time'),
    warmUp: number(
      WARM_UP_REQUESTS,
      { min: 0, max: 10_000_000, whole: true },
      'requests that each gets at least before it is measured; then until it gets no cheaper',
    ),
    json: text('FILE', 'write every round, the medians and what machine it was to FILE'),
  };
}
