import { isToken } from '../../http1/grammar.ts';
import type { Coding } from '../codings.ts';

/** A weight: 0 to 1 with at most three decimals (RFC 9110 section 12.4.2). */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/** What a client says of each coding. */
interface Weights {
  /** By coding in lower case. */
  readonly named: ReadonlyMap<string, number>;
  /** Of everything that is not named; undefined: not acceptable. */
  readonly others: number | undefined;
}

/**
 * The coding for a client that sends this `Accept-Encoding` (RFC 9110 section 12.5.3): the one with the highest weight, and
 * of several the first of `codings`. Undefined, which is identity, for a client that
 *
 * - sends no such field, an empty one or one that cannot be read,
 * - takes none of `codings`, even where it refuses identity as well: there is nothing better to send,
 * - names identity with a higher weight than each of them.
 *
 * @param field all of its lines, joined by commas
 * @param codings in the order in which the server prefers them
 */
export function chosenCoding(field: string | undefined, codings: readonly Coding[]): Coding | undefined {
  const weights = field === undefined ? undefined : parsed(field);
  if (!weights) return undefined;
  let best: Coding | undefined;
  let most = weights.named.get('identity') ?? 0;
  for (const coding of codings) {
    const weight = weightOf(coding, weights);
    // Of identity and a coding that weigh the same, the coding is shorter.
    if (weight > 0 && (weight > most || (best === undefined && weight === most))) {
      best = coding;
      most = weight;
    }
  }
  return best;
}

function weightOf(coding: Coding, { named, others }: Weights): number {
  // RFC 9110 section 8.4.1.3: x-gzip is gzip.
  return named.get(coding) ?? (coding === 'gzip' ? named.get('x-gzip') : undefined) ?? others ?? 0;
}

/** Undefined: it cannot be read. Of a coding that is named twice, the last weight counts. */
function parsed(field: string): Weights | undefined {
  const named = new Map<string, number>();
  for (const item of field.split(',')) {
    const element = item.trim();
    // A list may have empty elements (RFC 9110 section 5.6.1.2).
    if (element === '') continue;
    const weighted = weightedCoding(element);
    if (!weighted) return undefined;
    named.set(weighted.coding, weighted.weight);
  }
  return { named, others: named.get('*') };
}

function weightedCoding(element: string): { readonly coding: string; readonly weight: number } | undefined {
  const semicolon = element.indexOf(';');
  const coding = (semicolon === -1 ? element : element.slice(0, semicolon)).trimEnd().toLowerCase();
  if (!isToken(coding)) return undefined;
  if (semicolon === -1) return { coding, weight: 1 };
  const parameter = element.slice(semicolon + 1).trimStart();
  const value = parameter.slice(2);
  return /^q=/i.test(parameter) && WEIGHT.test(value) ? { coding, weight: Number(value) } : undefined;
}
