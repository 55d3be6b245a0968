import { hrtime } from 'node:process';
import { type Clock, systemClock } from './clock.ts';

/** `performance.now()` begins at 0 in each thread, and the machine's own monotonic clock does not. */
const BEGAN_AT_MS = Number(hrtime.bigint()) / 1e6 - performance.now();

/** The same time in every thread of the process: for moments that one writes down and another reads. */
export const threadsClock: Clock = { ...systemClock, ticks: () => performance.now() + BEGAN_AT_MS };
