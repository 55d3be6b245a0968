/** A browser sent this request on behalf of a page of another site. */
export class CrossSiteError extends Error {
  override readonly name = 'CrossSiteError';
  readonly code = 'cross_site';
  readonly status = 403;
}

/** A browser may have sent this request to a public name that somebody has pointed to this machine. */
export class ForeignHostError extends Error {
  override readonly name = 'ForeignHostError';
  readonly code = 'foreign_host';
  readonly status = 403;
}
