import type { Admission } from '../../exchange/attempt.ts';

/** A replica that starts slowly gets its full part in so many equal steps. */
export const START_STEPS = 10;
/** Below the load of any other replica. */
const TRIAL_FIRST = -1;
/** Above the load of any other replica. */
const LAST = 2 ** 40;
/** So that 49 times a forty-ninth is 1. */
const ROUNDING = 1e-9;

/**
 * The load of a replica, by which it is chosen. While it starts slowly, each request under way counts as several, as ten
 * in the beginning: so it first has a tenth of the requests of the others, and in the end as many. With nothing under
 * way its load is 0 like that of any other, so a slow start does not matter while nobody is busy. A replica that waits
 * for a trial comes first.
 *
 * Where weights differ, one with three times the least weight has a load of 1 when three requests are under way, and whole
 * numbers count: among those of the same load the requests are dealt out by weight (`due`). One with the weight 0 comes last,
 * trial or not.
 *
 * @param interval see `Replica.interval`
 */
export function loadOf(
  inFlight: number,
  startStepsLeft: number,
  admission: Admission,
  interval: number,
): number {
  if (interval === Number.POSITIVE_INFINITY) return LAST + inFlight;
  if (admission === 'trial') return TRIAL_FIRST;
  if (interval !== 0) return Math.floor(inFlight * pace(interval, startStepsLeft) + ROUNDING);
  return startStepsLeft === 0 ? inFlight : pace(inFlight, startStepsLeft);
}

/** How much later a request makes the next one due, where weights differ. */
export function pace(interval: number, startStepsLeft: number): number {
  return startStepsLeft === 0 ? interval : (interval * START_STEPS) / (START_STEPS - startStepsLeft);
}

/** Whether requests are dealt out to a replica of this interval by when it is due. */
export function isPaced(interval: number): boolean {
  return interval !== 0 && interval !== Number.POSITIVE_INFINITY;
}
