/** The client wants no service to be asked, and nothing that is stored will do (RFC 9111 section 5.2.1.7). */
export class NotCachedError extends Error {
  override readonly name = 'NotCachedError';
  readonly code = 'not_cached';
  readonly status = 504;

  constructor() {
    super('only-if-cached, and no stored answer will do');
  }
}
