/** The client closed its connection before its response was complete. Nobody is left to reply to. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
  readonly code = 'client_gone';
  readonly status = 499;

  constructor() {
    super('the client closed its connection');
  }
}

/** The gateway is shutting down, and this request did not finish in the time that was left. */
export class DrainingError extends Error {
  override readonly name = 'DrainingError';
  readonly code = 'draining';
  readonly status = 503;
  readonly retryAfterMs = 1000;

  constructor() {
    super('the gateway is shutting down');
  }
}
