import { distance } from 'fastest-levenshtein';

// Shorter names are too similar to each other: unrelated ones differ as little as misspelt ones.
const ONE_SLIP_LENGTH = 7;
const TWO_SLIPS_LENGTH = 13;

/**
 * The known name that `name` is probably a misspelling of, or undefined.
 *
 * Case and punctuation are ignored (`jwt-secret` is JWT_SECRET). Beyond that one mistake is tolerated: an extra, missing or wrong
 * letter, or two exchanged ones; and two mistakes in names of 13 letters or more.
 */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  let nearest: { readonly name: string; readonly slips: number } | undefined;
  for (const candidate of known) {
    const slips = slipsBetween(letters(name), letters(candidate));
    if (slips !== undefined && (!nearest || slips < nearest.slips)) nearest = { name: candidate, slips };
  }
  return nearest?.name;
}

/** How many mistakes turn one spelling into the other; undefined when they are different words. */
function slipsBetween(name: string, known: string): number | undefined {
  const edits = distance(name, known);
  const slips = edits === 2 && sorted(name) === sorted(known) ? 1 : edits;
  const allowed = known.length >= TWO_SLIPS_LENGTH ? 2 : known.length >= ONE_SLIP_LENGTH ? 1 : 0;
  return slips <= allowed ? slips : undefined;
}

function letters(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, '');
}

function sorted(text: string): string {
  return [...text].sort().join('');
}
