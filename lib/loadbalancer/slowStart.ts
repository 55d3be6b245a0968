import type { Cancel, Clock } from '../clock/clock.ts';
import type { Replica } from './replica.ts';

/** In so many steps a newcomer loses its handicap. */
const STEPS = 10;

/**
 * Lets newcomers, and those that come back, begin as loaded as the others are: `handicap` requests more than they
 * have, which melt away over `slowStartMs`. With nobody waiting there is no handicap and so no slow start.
 */
export function slowStart(slowStartMs: number, clock: Clock, onChange: (replica: Replica) => void) {
  const melting = new WeakMap<Replica, Cancel>();

  return (replica: Replica, handicap: number): void => {
    // Who comes back before its handicap has melted begins anew.
    melting.get(replica)?.();
    replica.handicap = slowStartMs === 0 ? 0 : handicap;
    if (replica.handicap > 0) melt(STEPS - 1);

    function melt(stepsLeft: number): void {
      const step = () => {
        replica.handicap = Math.floor((handicap * stepsLeft) / STEPS);
        onChange(replica);
        if (replica.handicap > 0) melt(stepsLeft - 1);
      };
      melting.set(replica, clock.after(slowStartMs / STEPS, step));
    }
  };
}
