/** The request does not carry the admin token. */
export class AdminTokenError extends Error {
  override readonly name = 'AdminTokenError';
  readonly code = 'admin_token_wrong';
  readonly status = 401;
  readonly challenge = 'Bearer realm="admin"';
}
