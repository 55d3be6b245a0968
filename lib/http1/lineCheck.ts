import { isFieldValue, isToken } from './grammar.ts';

/**
 * Checks whether field lines (name, value, name, value) can be sent. Most messages repeat most lines of the message before, so a
 * line that was valid at the same place in the last message is not checked again.
 */
export class LineCheck {
  #last: readonly string[] = [];

  /**
   * The index of the first invalid name or value, or of a name without a value; -1 when there is none. The lines must not be
   * changed afterwards, because the next ones are compared with them.
   */
  firstBad(lines: readonly string[]): number {
    if (lines.length % 2 !== 0) return lines.length - 1;
    const last = this.#last;
    for (let at = 0; at < lines.length; at += 1) {
      const part = lines[at];
      // Beyond the end of the last lines `undefined` would compare as equal.
      if (part === undefined) return at;
      if (part === last[at]) continue;
      if (!(at % 2 === 0 ? isToken(part) : isFieldValue(part))) return at;
    }
    this.#last = lines;
    return -1;
  }
}
