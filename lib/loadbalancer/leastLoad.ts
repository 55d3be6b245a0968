/** What the choice depends on. */
export interface Loaded {
  readonly healthy: boolean;
  /** Requests this gateway has under way there. */
  readonly inFlight: number;
  /** Requests ever sent there. */
  readonly requestCount: number;
}

/**
 * The eligible candidate with the fewest requests in flight, ties broken by the lowest request count and
 * further ties at random. One pass, O(n), nothing allocated.
 */
export function leastLoaded<T extends Loaded>(
  candidates: readonly T[],
  eligible: (candidate: T) => boolean,
  random: () => number,
): T | undefined {
  let best: T | undefined;
  let ties = 0;
  for (const candidate of candidates) {
    if (!candidate.healthy || !eligible(candidate)) continue;
    const difference = best ? compareLoad(candidate, best) : -1;
    if (difference > 0) continue;
    ties = difference < 0 ? 1 : ties + 1;
    // Reservoir sampling: each of n equals is kept with probability 1/n.
    if (difference < 0 || random() * ties < 1) best = candidate;
  }
  return best;
}

function compareLoad(a: Loaded, b: Loaded): number {
  return a.inFlight - b.inFlight || a.requestCount - b.requestCount;
}
