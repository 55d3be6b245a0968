import { type Reply, reply } from './reply.ts';

/** Requests that cannot be read, or lead nowhere. */
export const REQUEST_REPLIES = {
  bad_request: reply(
    400,
    'Bad request',
    'The request is not valid HTTP or its path is ambiguous.',
    'http_request_error',
  ),
  tls_required: reply(
    400,
    'TLS required',
    'This port speaks TLS only. Ask with https://.',
    'http_request_error',
  ),
  no_such_service: reply(
    404,
    'No such service',
    'No service or route is for this path.',
    'destination_not_found',
  ),
  method_not_allowed: reply(
    405,
    'Method not allowed',
    'The path does not take this method. Allow lists those that it does.',
    'http_request_denied',
  ),
  upload_stalled: reply(
    408,
    'Upload stalled',
    'The content of the request stopped or came too slowly. Send it again.',
    'http_request_error',
  ),
  body_too_large: reply(413, 'Body too large', 'Send less content.', 'http_request_error'),
  uri_too_long: reply(414, 'URI too long', 'Send a shorter request target.', 'http_request_error'),
  headers_too_large: reply(
    431,
    'Headers too large',
    'Send fewer or shorter fields, such as fewer cookies.',
    'http_request_error',
  ),
  method_not_implemented: reply(
    501,
    'Method not implemented',
    'The gateway does not know this method. Methods are case-sensitive.',
    'proxy_internal_response',
  ),
} as const satisfies Record<string, Reply>;
