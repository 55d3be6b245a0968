import type { Admission } from '../../exchange/attempt.ts';

/** A replica that starts slowly gets its full part in so many equal steps. */
export const START_STEPS = 10;
/** Below that of any other. */
const TRIAL_FIRST = -1;

/**
 * What the choice goes by. While a replica starts slowly, each request under way counts for several, ten to begin with:
 * so it has a tenth of what the others have under way at first, and as much as they have in the end. Idle it is as idle
 * as any other, so a slow start keeps nothing from it where nobody is busy. One that waits for a trial comes first,
 * whatever the traffic.
 */
export function loadOf(inFlight: number, startStepsLeft: number, admission: Admission): number {
  if (admission === 'trial') return TRIAL_FIRST;
  return startStepsLeft === 0 ? inFlight : (inFlight * START_STEPS) / (START_STEPS - startStepsLeft);
}
