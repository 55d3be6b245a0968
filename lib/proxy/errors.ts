import type { TlsFailedError, TlsFailure } from '../http1/tlsFailure.ts';

/** The replica could not be reached, or the connection broke before a response began. */
export class UpstreamUnreachableError extends Error {
  override readonly name: string = 'UpstreamUnreachableError';
  readonly code: 'upstream_unreachable' | UpstreamTlsCode = 'upstream_unreachable';
  readonly status = 502;
}

type UpstreamTlsCode = 'upstream_certificate_invalid' | 'upstream_tls_alert' | 'upstream_tls_failed';

const TLS_CODES: Readonly<Record<TlsFailure, UpstreamTlsCode>> = {
  certificate: 'upstream_certificate_invalid',
  alert: 'upstream_tls_alert',
  protocol: 'upstream_tls_failed',
};

/** No TLS connection to the replica came about: one side did not accept the other's certificate, or they have nothing in common. */
export class UpstreamTlsError extends UpstreamUnreachableError {
  override readonly name = 'UpstreamTlsError';
  override readonly code: UpstreamTlsCode;

  constructor(replicaId: string, cause: TlsFailedError) {
    super(`no TLS connection to ${replicaId}: ${cause.message}`, { cause });
    this.code = TLS_CODES[cause.failure];
  }
}

/** The request was sent to replicas twice already, so it is not sent a third time. It says nothing about a replica. */
export class RequestSentTwiceError extends Error {
  override readonly name = 'RequestSentTwiceError';
  readonly code = 'upstream_unreachable';
  readonly status = 502;

  constructor() {
    super('the request has been sent to the service twice already');
  }
}

/** Another replica has responded to the same request before this one. */
export class HedgeLostError extends Error {
  override readonly name = 'HedgeLostError';
  readonly code = 'upstream_unreachable';
  readonly status = 502;

  constructor(replicaId: string) {
    super(`${replicaId} has not responded, and another replica has`);
  }
}

/** The gateway's process or machine has no descriptor, port or buffer left for a connection. No replica is at fault. */
export class GatewayExhaustedError extends Error {
  override readonly name = 'GatewayExhaustedError';
  readonly code = 'gateway_exhausted';
  readonly status = 503;
}

/** The replica sent something that is not a valid HTTP response. */
export class UpstreamBadResponseError extends Error {
  override readonly name = 'UpstreamBadResponseError';
  readonly code = 'upstream_bad_response';
  readonly status = 502;
}

/** The head of the replica's response is larger than `MAX_RESPONSE_HEAD`. The replica itself may be healthy. */
export class UpstreamHeadTooLargeError extends Error {
  override readonly name = 'UpstreamHeadTooLargeError';
  readonly code = 'upstream_head_too_large';
  readonly status = 502;
}

/** The response's content stopped arriving. */
export class UpstreamSilentError extends Error {
  override readonly name = 'UpstreamSilentError';
  readonly code = 'upstream_bad_response';
  readonly status = 502;

  constructor(idleTimeoutMs: number) {
    super(`no content of the response arrived for ${idleTimeoutMs} ms`);
  }
}

/** The client stopped reading its response. Nobody is left to reply to. */
export class ClientStalledError extends Error {
  override readonly name = 'ClientStalledError';
  readonly code = 'client_stalled';
  readonly status = 499;

  constructor(sendTimeoutMs: number) {
    super(`the client read nothing of its response for ${sendTimeoutMs} ms`);
  }
}

/** The request's content is larger than allowed. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
  readonly code = 'body_too_large';
  readonly status = 413;

  constructor(maxBodyBytes: number) {
    super(`the request body is larger than ${maxBodyBytes} bytes`);
  }
}

/** The request cannot be forwarded without guessing what it means. */
export class AmbiguousRequestError extends Error {
  override readonly name = 'AmbiguousRequestError';
  readonly code = 'bad_request';
  readonly status = 400;
}
