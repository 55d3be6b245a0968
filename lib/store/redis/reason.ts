/** The error's code, or else its message: a refused connection to `localhost` has a code and an empty message. */
export function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
