/** Makes an error without a stack trace, for expected errors: nobody reads it, and recording it takes 3 us or more. */
export function stackless<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
