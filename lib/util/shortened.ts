import { hash } from 'node:crypto';

/** What is longer is named by its digest: keys are kept in memory, in Redis and in its books. */
const LONGEST_CHARACTERS = 256;
/** Stands in front of digests; what begins so itself is digested, too. */
const DIGEST_MARK = '#';

/** Printable characters of ASCII that JSON does not escape, each of which takes one byte. */
const PLAIN = /^[ !#-[\]-~]*$/;
const PRINTABLE = /^[ -~]*$/;

/**
 * What JSON writes of `text` between the quotes, when that is ASCII and `text` is at most 256 characters long; a digest of
 * it otherwise (45 characters). No two texts have the same outcome.
 */
export function shortened(text: string): string {
  if (text.length > LONGEST_CHARACTERS || text.startsWith(DIGEST_MARK)) return digestOf(text);
  if (PLAIN.test(text)) return text;
  const written = JSON.stringify(text).slice(1, -1);
  return PRINTABLE.test(written) ? written : digestOf(text);
}

/** `shortened` for texts that mostly are what the last one was. */
export class LastShortened {
  #text = '';
  #outcome = '';

  of(text: string): string {
    if (text === this.#text) return this.#outcome;
    this.#text = text;
    this.#outcome = shortened(text);
    return this.#outcome;
  }
}

/** Of the JSON: what is no Unicode (half of a surrogate pair) has no bytes of its own. */
function digestOf(text: string): string {
  return DIGEST_MARK + hash('sha256', JSON.stringify(text), 'base64url');
}
