/** The request says `only-if-cached`, and no stored response will do (RFC 9111 section 5.2.1.7). */
export class NotCachedError extends Error {
  override readonly name = 'NotCachedError';
  readonly code = 'not_cached';
  readonly status = 504;

  constructor() {
    super('only-if-cached, and no stored response will do');
  }
}
