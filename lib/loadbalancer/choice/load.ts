import type { Admission } from '../../exchange/attempt.ts';

/** A replica that starts slowly gets its full part in so many equal steps. */
export const START_STEPS = 10;
/** Below the load of any other replica. */
const TRIAL_FIRST = -1;

/**
 * The load of a replica, by which it is chosen. While it starts slowly, each request under way counts as several, as ten
 * in the beginning: so it first has a tenth of the requests of the others, and in the end as many. With nothing under
 * way its load is 0 like that of any other, so a slow start does not matter while nobody is busy. A replica that waits
 * for a trial comes first.
 */
export function loadOf(inFlight: number, startStepsLeft: number, admission: Admission): number {
  if (admission === 'trial') return TRIAL_FIRST;
  return startStepsLeft === 0 ? inFlight : (inFlight * START_STEPS) / (START_STEPS - startStepsLeft);
}
