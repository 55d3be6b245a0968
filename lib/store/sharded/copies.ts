import { asError } from '../../util/asError.ts';

/**
 * How many nodes must respond before a key may count as absent from all of them. One node may be away: a lasting value is on
 * at least two of the nodes, or on both of two.
 */
export function enoughToAsk(nodes: number): number {
  return Math.max(1, nodes - 1);
}

/** On how many nodes a value must be stored to survive the loss of any one of them. */
export function enoughToLast(nodes: number): number {
  return Math.min(nodes, Math.max(2, nodes - 1));
}

/**
 * The values of those promises that resolve. When fewer than `enough` do, it rejects as the first that has rejected.
 */
export async function resolvedOf<T>(asked: readonly Promise<T>[], enough: number): Promise<T[]> {
  const outcomes = await Promise.allSettled(asked);
  const values: T[] = [];
  let failure: unknown;
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') values.push(outcome.value);
    else failure ??= outcome.reason;
  }
  if (values.length < enough) throw asError(failure);
  return values;
}

/** Combines several values into one, and does so again only when one of them has changed. */
export class Combined<Part, Whole> {
  readonly #combine: (parts: readonly Part[]) => Whole;
  #latest: { readonly parts: readonly Part[]; readonly whole: Whole } | undefined;

  constructor(combine: (parts: readonly Part[]) => Whole) {
    this.#combine = combine;
  }

  of(parts: readonly Part[]): Whole {
    const latest = this.#latest;
    if (latest && areSame(latest.parts, parts)) return latest.whole;
    const whole = this.#combine(parts);
    this.#latest = { parts, whole };
    return whole;
  }
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some.length !== others.length) return false;
  for (let i = 0; i < some.length; i += 1) if (some[i] !== others[i]) return false;
  return true;
}
