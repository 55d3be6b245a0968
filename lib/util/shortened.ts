import { hash } from 'node:crypto';

/** A longer text is replaced by its digest, since keys are kept in memory and, several times, in Redis. */
const LONGEST_CHARACTERS = 256;
/** Precedes digests. A text that begins with it is replaced by its digest too, so that the two cannot be confused. */
const DIGEST_MARK = '#';

/** Printable characters of ASCII that JSON does not escape, each of which takes one byte. */
const PLAIN = /^[ !#-[\]-~]*$/;
const PRINTABLE = /^[ -~]*$/;

/**
 * `text` as JSON writes it between the quotes, if that is ASCII and `text` has at most 256 characters; otherwise its digest
 * (45 characters). Different texts have different results.
 */
export function shortened(text: string): string {
  if (text.length > LONGEST_CHARACTERS || text.startsWith(DIGEST_MARK)) return digestOf(text);
  if (PLAIN.test(text)) return text;
  const written = JSON.stringify(text).slice(1, -1);
  return PRINTABLE.test(written) ? written : digestOf(text);
}

/** `shortened` for texts that are mostly the same as the one before. */
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

/** The digest is made of the JSON, because a lone surrogate has no bytes in UTF-8. */
function digestOf(text: string): string {
  return DIGEST_MARK + hash('sha256', JSON.stringify(text), 'base64url');
}
