/** What has a part of the requests. */
export interface Weighed {
  /** 0 or more. */
  weight: number;
  interval: number;
}

/**
 * Gives each of the replicas its `interval`, by their weights together. Calls back for each that has another one now.
 */
export function weigh<Each extends Weighed>(replicas: readonly Each[], onChange: (each: Each) => void): void {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const { weight } of replicas) {
    if (weight > most) most = weight;
    if (weight > 0 && weight < least) least = weight;
  }
  for (const replica of replicas) {
    const interval = intervalOf(replica.weight, least, most);
    if (interval === replica.interval) continue;
    replica.interval = interval;
    onChange(replica);
  }
}

function intervalOf(weight: number, least: number, most: number): number {
  // Without any weight all of them are equal, too.
  if (weight === 0 && most > 0) return Number.POSITIVE_INFINITY;
  return least < most ? least / weight : 0;
}
