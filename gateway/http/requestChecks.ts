import type { IncomingMessage } from 'node:http';
import { fieldCount } from '../../lib/http/fields.ts';
import { http } from '../../lib/http/nodeHttp.ts';
import type { ReplyCode } from '../errors/replies/replies.ts';
import { BadTargetError, BrokenRequestError, MethodNotAllowedError } from '../errors/requestErrors.ts';

/**
 * `uri-host [":" port]` (RFC 9110 section 7.2): a name of letters, digits, `-`, `.`, `_`, `~` and percent-encoded bytes, or an
 * address in brackets. A user, path, list or blank is not allowed, since two parties could read it as different hosts.
 */
const HOST = /^(?:(?:[\w.~-]|%[0-9a-f]{2})+|\[[0-9a-f:.]{2,}\])(?::\d{0,5})?$/i;

/** A request line of HTTP/1 (RFC 9112 section 3); its method is a token (RFC 9110 section 9.1). */
const REQUEST_LINE = /^([\w!#$%&'*+.^`|~-]+) [\x21-\x7e]+ HTTP\/1\.\d\r?\n/;

/** The error codes of Node's parser for a broken request line. */
const STOPPED_IN_REQUEST_LINE: ReadonlySet<string | undefined> = new Set([
  'HPE_INVALID_METHOD',
  // The parser knows the methods of RTSP too, and then expects RTSP's version.
  'HPE_INVALID_CONSTANT',
]);

/** The error of Node's `clientError` event, for bytes that its parser refused. */
export interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer;
  /** Offset into `rawPacket` at which the parser stopped. */
  readonly bytesParsed?: number;
}

/** The reply to a client whose bytes never became a request. */
export function replyToBroken(error: ParserError): ReplyCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  return hasUnknownMethod(error) ? 'method_not_implemented' : 'bad_request';
}

/** Whether it is a valid request line, received in one piece, with a method that Node's parser does not know. */
function hasUnknownMethod({ code, rawPacket, bytesParsed = 0 }: ParserError): boolean {
  if (!rawPacket || !STOPPED_IN_REQUEST_LINE.has(code)) return false;
  const start = rawPacket.subarray(0, bytesParsed).lastIndexOf('\n') + 1;
  const [, method] = REQUEST_LINE.exec(rawPacket.toString('latin1', start)) ?? [];
  return method !== undefined && !http.METHODS.includes(method);
}

/** Why the gateway refuses this request, whatever its target; undefined when it does not. */
export function refusalOf(req: IncomingMessage): Error | undefined {
  const { host, 'transfer-encoding': coding } = req.headers;
  const { httpVersion } = req;
  // Node's parser accepts the versions 0.9 and 2.0, which are not HTTP/1.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return new BrokenRequestError(`HTTP/${httpVersion}`);
  if (host === undefined) {
    if (httpVersion === '1.1') return new BadTargetError('HTTP/1.1 without Host (RFC 9112 section 3.2)');
  } else if (!HOST.test(host) || fieldCount(req.rawHeaders, 'host') > 1) {
    return new BadTargetError('Host is not one host (RFC 9112 section 3.2)');
  }
  // Nobody can say where such a message ends.
  if (coding !== undefined && httpVersion !== '1.1') {
    return new BadTargetError('a transfer coding before HTTP/1.1 (RFC 9112 section 6.1)');
  }
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return new BrokenRequestError('a transfer coding other than chunked');
  }
  // TRACE would show the client the fields that the gateway adds for the service (RFC 9110 section 9.3.8).
  if (req.method === 'TRACE') return new MethodNotAllowedError('TRACE');
  return undefined;
}

/**
 * Whether it is an OPTIONS for the gateway itself, or one that must not be forwarded further (RFC 9110 section 7.6.2).
 */
export function isForGateway({ method, headers }: IncomingMessage, target: string): boolean {
  return method === 'OPTIONS' && (target === '*' || headers['max-forwards'] === '0');
}
