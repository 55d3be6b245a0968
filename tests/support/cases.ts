/** How many times as many cases as usual `npm run test:cases` tries, new ones each time. */
const TIMES = 'CASES_TIMES';

/** Where ordinary runs begin: they try the same cases each time, so that only a change can turn them red. */
const SEED = 20_261_201;

/** How many cases a property is tried with, and which. Default: 100 */
export function cases(numRuns = 100): { numRuns: number; seed?: number } {
  const times = Number(process.env[TIMES] ?? 0);
  return times > 0 ? { numRuns: numRuns * times } : { numRuns, seed: SEED };
}
