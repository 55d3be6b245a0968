import { asError } from '../../util/asError.ts';

/**
 * How many of so many nodes must answer before it may be said that something is on none of them. One may be away: whatever
 * was stored for good is on two of the others at least, or, of two nodes, on both.
 */
export function enoughToAsk(nodes: number): number {
  return Math.max(1, nodes - 1);
}

/** On how many of so many nodes something must be that is to outlive any one of them. */
export function enoughToLast(nodes: number): number {
  return Math.min(nodes, Math.max(2, nodes - 1));
}

/** What those say that answer; rejects as the first that does not, when fewer than `enough` do. */
export async function answersOf<T>(asked: readonly Promise<T>[], enough: number): Promise<T[]> {
  const outcomes = await Promise.allSettled(asked);
  const answers: T[] = [];
  let failure: unknown;
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') answers.push(outcome.value);
    else failure ??= outcome.reason;
  }
  if (answers.length < enough) throw asError(failure);
  return answers;
}

/** Makes one value of several, anew only when one of them is another than the time before. */
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
