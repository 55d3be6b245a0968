import { distance } from 'fastest-levenshtein';

/** What zod takes as the message of an issue. */
export interface Message {
  readonly error: (issue: { readonly input?: unknown }) => string;
}

/** In a list as short as these, as many letters may be wrong. */
const MOST_SLIPS = 2;

/** The message for a value that is none of a few words: what is accepted, and which of them was meant. */
export function oneOf(words: readonly string[], accepted: string): Message {
  return {
    error: ({ input }) => {
      const meant = typeof input === 'string' ? nearest(input, words) : undefined;
      return meant === undefined ? accepted : `${accepted}; did you mean ${meant}?`;
    },
  };
}

/** The word of which `text` is probably a misspelling. */
export function nearest(text: string, words: readonly string[]): string | undefined {
  const slips = (word: string) => distance(text.toLowerCase(), word);
  const [best] = words.toSorted((one, other) => slips(one) - slips(other));
  return best !== undefined && slips(best) <= MOST_SLIPS ? best : undefined;
}
