/** A flag that cannot be understood; the message says what is accepted. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** The number that was given for a flag. Throws `FlagError` when it is none, or is below `min` or above `max`. */
export function numberFlag(name: string, given: string, min: number, max: number): number {
  const value = Number(given);
  if (given.trim() !== '' && value >= min && value <= max) return value;
  throw new FlagError(`--${name} is "${given}": expected a number from ${min} to ${max}`);
}
