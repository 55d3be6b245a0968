/** A page whose origin is not allowed opens a WebSocket, or changes something, with the user's cookies. */
export class OriginNotAllowedError extends Error {
  override readonly name = 'OriginNotAllowedError';
  readonly code = 'origin_not_allowed';
  readonly status = 403;
}
