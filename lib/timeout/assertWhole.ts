/** setTimeout's own limit: a longer delay would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Throws `RangeError` unless `value` is a whole number that a timer can wait for, in milliseconds.
 *
 * @param option what it was given as: `timeout: timeoutMs`
 */
export function assertWhole(option: string, value: number, min = 1): void {
  if (Number.isInteger(value) && value >= min && value <= MAX_TIMEOUT_MS) return;
  throw new RangeError(`${option} must be a whole number ${min}..${MAX_TIMEOUT_MS}, got ${value}`);
}
