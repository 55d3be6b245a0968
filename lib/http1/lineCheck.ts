import { isFieldValue, isToken } from './grammar.ts';

/**
 * Checks whether field lines (name, value, name, value) can be sent. Most messages repeat most of the lines before: what
 * was found good in the same place of the last is not looked at again.
 */
export class LineCheck {
  #last: readonly string[] = [];

  /**
   * Where the first name or value is that no message may carry, or the name without a value; -1: nowhere. The lines must
   * not be changed afterwards: the next are compared with them.
   */
  firstBad(lines: readonly string[]): number {
    if (lines.length % 2 !== 0) return lines.length - 1;
    const last = this.#last;
    for (let at = 0; at < lines.length; at += 1) {
      const part = lines[at];
      // Behind the end of the last lines it would be what stands there.
      if (part === undefined) return at;
      if (part === last[at]) continue;
      if (!(at % 2 === 0 ? isToken(part) : isFieldValue(part))) return at;
    }
    this.#last = lines;
    return -1;
  }
}
