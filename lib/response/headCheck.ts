import type { FieldLines } from '../http/fields.ts';
import { isFieldValue } from '../http1/grammar.ts';
import { LineCheck } from '../http1/lineCheck.ts';

/** Checks whether heads of responses can be sent, without a connection. It remembers the lines of the last one. */
export class HeadCheck {
  readonly #lines = new LineCheck();

  /** Throws `RangeError` or `TypeError`, as Node does. `fields` must not be changed afterwards. */
  assertSendable(status: number, reason: string, fields: FieldLines): void {
    if (status < 100 || status > 999) throw new RangeError(`status ${status}: expected 100..999`);
    if (!isFieldValue(reason)) throw new TypeError('the reason phrase has a character that cannot be sent');
    const at = this.#lines.firstBad(fields);
    if (at !== -1) throw new TypeError(`field line ${Math.floor(at / 2)} cannot be sent`);
  }
}
