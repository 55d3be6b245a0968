import type { Cancel, Clock } from '../../clock/clock.ts';
import type { Replica } from '../replica.ts';
import { START_STEPS } from './load.ts';

/** Begins the slow start of a replica, or goes on with one that has so many steps left. */
export function slowStart(slowStartMs: number, clock: Clock, onChange: (replica: Replica) => void) {
  const starting = new WeakMap<Replica, Cancel>();

  return (replica: Replica, stepsLeft = START_STEPS - 1): void => {
    // A replica that comes back before its start is over begins again.
    starting.get(replica)?.();
    replica.startStepsLeft = slowStartMs === 0 ? 0 : stepsLeft;
    if (replica.startStepsLeft > 0) waitForStep(stepsLeft);

    function waitForStep(left: number): void {
      const step = () => {
        // Somebody else has begun it again, or goes on with it.
        if (replica.startStepsLeft !== left) return;
        replica.startStepsLeft = left - 1;
        onChange(replica);
        if (left > 1) waitForStep(left - 1);
      };
      starting.set(replica, clock.after(slowStartMs / START_STEPS, step));
    }
  };
}
