import { hrtime } from 'node:process';
import { type Clock, systemClock } from './clock.ts';

/** `performance.now()` begins at 0 in each thread; the machine's monotonic clock is the same for all. */
const BEGAN_AT_MS = Number(hrtime.bigint()) / 1e6 - performance.now();

/**
 * A clock whose `ticks` are the same in every thread of the process, for times that one thread writes and another
 * reads.
 */
export const threadsClock: Clock = { ...systemClock, ticks: () => performance.now() + BEGAN_AT_MS };
