/** The client's address is one of those that may not come here. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly code = 'address_refused';
  readonly status = 403;
}
