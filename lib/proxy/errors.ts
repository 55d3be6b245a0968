/** The replica could not be reached, or the connection broke before an answer began. */
export class UpstreamUnreachableError extends Error {
  override readonly name = 'UpstreamUnreachableError';
  readonly code = 'upstream_unreachable';
  readonly status = 502;
}

/** Services have been sent this request twice already, so it was not sent a third time. Says nothing about a replica. */
export class RequestSentTwiceError extends Error {
  override readonly name = 'RequestSentTwiceError';
  readonly code = 'upstream_unreachable';
  readonly status = 502;

  constructor() {
    super('the request has been sent to the service twice already');
  }
}

/** Another replica has responded to the same request, to which this one has not. */
export class HedgeLostError extends Error {
  override readonly name = 'HedgeLostError';
  readonly code = 'upstream_unreachable';
  readonly status = 502;

  constructor(replicaId: string) {
    super(`${replicaId} has not responded, and another replica has`);
  }
}

/** This machine or process has no descriptor, port or buffer left for a connection: no replica is to blame. */
export class GatewayExhaustedError extends Error {
  override readonly name = 'GatewayExhaustedError';
  readonly code = 'gateway_exhausted';
  readonly status = 503;
}

/** What came back was not a valid HTTP answer. */
export class UpstreamBadResponseError extends Error {
  override readonly name = 'UpstreamBadResponseError';
  readonly code = 'upstream_bad_response';
  readonly status = 502;
}

/** The head of the replica's response is larger than `MAX_RESPONSE_HEAD`. The replica may be quite well. */
export class UpstreamHeadTooLargeError extends Error {
  override readonly name = 'UpstreamHeadTooLargeError';
  readonly code = 'upstream_head_too_large';
  readonly status = 502;
}

/** The answer stopped flowing in mid-body. */
export class UpstreamSilentError extends Error {
  override readonly name = 'UpstreamSilentError';
  readonly code = 'upstream_bad_response';
  readonly status = 502;

  constructor(idleTimeoutMs: number) {
    super(`the answer's body was silent for ${idleTimeoutMs} ms`);
  }
}

/** The client did not read on in mid-answer. Nobody is there to reply to. */
export class ClientStalledError extends Error {
  override readonly name = 'ClientStalledError';
  readonly code = 'client_stalled';
  readonly status = 499;

  constructor(sendTimeoutMs: number) {
    super(`the client read nothing of its answer for ${sendTimeoutMs} ms`);
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
