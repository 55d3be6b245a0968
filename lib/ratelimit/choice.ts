import { claimAt, claimsOf, scopesOf } from '../auth/requirement.ts';
import type { Identity } from '../exchange/exchange.ts';

/** What in a token chooses between several: a claim, by name or path, or the scopes that it has. */
export type ChosenBy = { readonly claim: string } | 'scope';

/** Something that is chosen by a value. */
export type Choice<T> = readonly [value: string, chosen: T];

/**
 * Chooses by what a token says. Of several values that it has, the first of `choices` counts; `otherwise` is for who has none of
 * them, and for who has no token. A claim that is a number or `true` is compared as it is written; letter case counts.
 *
 * An identity that was asked before is not read again: it is the same object for all requests with its token.
 */
export function chooseBy<T extends object>(
  by: ChosenBy,
  choices: readonly Choice<T>[],
  otherwise: T,
): (identity: Identity | undefined) => T {
  const valuesOf = by === 'scope' ? scopesOfToken : valuesOfClaim(by.claim);
  const known = new WeakMap<Identity, T>();
  return (identity) => {
    if (identity === undefined) return otherwise;
    let chosen = known.get(identity);
    if (chosen === undefined) {
      const values = valuesOf(identity);
      chosen = choices.find(([value]) => values.has(value))?.[1] ?? otherwise;
      known.set(identity, chosen);
    }
    return chosen;
  };
}

function scopesOfToken(identity: Identity): ReadonlySet<unknown> {
  return scopesOf(claimsOf(identity));
}

function valuesOfClaim(name: string): (identity: Identity) => ReadonlySet<unknown> {
  return (identity) => {
    const value = claimAt(claimsOf(identity), name);
    const values: unknown[] = Array.isArray(value) ? value : [value];
    return new Set(values.filter((one) => typeof one !== 'object').map(String));
  };
}
