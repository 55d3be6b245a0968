/** Whatever was thrown, as an `Error`. */
export function asError(thrown: unknown): Error {
  return Error.isError(thrown) ? thrown : new Error(String(thrown));
}

/** The shortest text that says what went wrong: a refused `localhost` has a code and an empty message. */
export function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
