/** A coder failed while it coded a response, which breaks off: what has left already cannot be taken back. */
export class CodingFailedError extends Error {
  override readonly name = 'CodingFailedError';
  readonly code = 'coding_failed';
  readonly status = 500;
}
