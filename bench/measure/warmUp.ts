import { LEAD_IN_SECONDS } from '../load/load.ts';
import type { Figures } from './measure.ts';

/** Large content warms up by what it brings. */
const MIB = 4_096;
/** What is cheaper than all runs before by this part may become cheaper yet. */
const FASTER = 0.02;
/** In so many runs a contender with much to compile has seen 100,000 requests and more. */
const MAX_RUNS = 8;
/** A run lasts as long as so many turns: short ones differ by chance more than by what was compiled between them. */
const TURNS = 3;

export interface WarmUpOptions {
  /** How many requests it gets at the least; 0: no warm-up. */
  readonly requests: number;
  /** Content of a request and its answer, where there is much of it. */
  readonly mibPerRequest?: number | undefined;
  /** How long a turn lasts. */
  readonly seconds: number;
  /** Puts the contender under load once, for so many seconds. */
  readonly measure: (seconds: number) => Promise<Pick<Figures, 'cpuUs' | 'requestsPerSecond'>>;
}

/**
 * Keeps a contender under load until V8 has compiled its hot paths and what is bounded is full: it has had its
 * requests, and gets no cheaper any more. Resolves to its requests per second in the end, NaN without a warm-up.
 */
export async function warmUp(options: Readonly<WarmUpOptions>): Promise<number> {
  const { seconds, mibPerRequest = 0, measure } = options;
  const least = Math.min(options.requests, MIB / mibPerRequest);
  let cheapestUs = Number.POSITIVE_INFINITY;
  let rate = Number.NaN;
  for (let requests = 0, run = 0; run < MAX_RUNS && least > 0; run += 1) {
    const { cpuUs, requestsPerSecond } = await measure(seconds * TURNS);
    rate = requestsPerSecond;
    requests += requestsPerSecond * (seconds * TURNS + LEAD_IN_SECONDS);
    if (requests >= least && !(cpuUs <= cheapestUs * (1 - FASTER))) break;
    cheapestUs = Math.min(cheapestUs, cpuUs);
  }
  return rate;
}
