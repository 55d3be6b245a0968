/** The shortest text that says what went wrong: a refused `localhost` has a code and an empty message. */
export function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
