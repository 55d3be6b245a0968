import { type Reply, reply } from './reply.ts';

/** Requests that a service gave no good response to. */
export const UPSTREAM_REPLIES = {
  upstream_unreachable: reply(
    502,
    'Service unreachable',
    'The service could not be reached.',
    'destination_unavailable',
  ),
  upstream_certificate_invalid: reply(
    502,
    'Certificate of service invalid',
    'The certificate of the service is not accepted.',
    'tls_certificate_error',
  ),
  upstream_tls_alert: reply(
    502,
    'TLS refused by service',
    'The service does not accept the TLS connection of the gateway.',
    'tls_alert_received',
  ),
  upstream_tls_failed: reply(
    502,
    'No TLS with service',
    'The gateway and the service did not agree on a TLS connection.',
    'tls_protocol_error',
  ),
  upstream_bad_response: reply(
    502,
    'Bad response from service',
    'The service sent a broken response.',
    'http_protocol_error',
  ),
  upstream_head_too_large: reply(
    502,
    'Response head too large',
    'The fields of the response are larger than the gateway passes on.',
    'http_response_header_section_size',
  ),
  circuit_open: reply(
    503,
    'Circuit breaker is open',
    'The service keeps failing. Try again later.',
    'destination_unavailable',
  ),
  no_healthy_replica: reply(
    503,
    'No healthy replica',
    'No replica of the service is up. Try again later.',
    'destination_unavailable',
  ),
  request_timeout: reply(
    504,
    'Request timeout',
    'The service did not respond in time.',
    'http_response_timeout',
  ),
} as const satisfies Record<string, Reply>;
