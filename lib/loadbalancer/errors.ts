/** The service has no replica that could be asked. */
export class NoHealthyReplicaError extends Error {
  override readonly name = 'NoHealthyReplicaError';
  readonly code = 'no_healthy_replica';
  readonly status = 503;
  readonly retryAfterMs = 5000;

  constructor(service: string) {
    super(`no healthy replica of ${service} is known`);
  }
}
