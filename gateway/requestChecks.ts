import type { IncomingMessage } from 'node:http';
import { BadTargetError, MethodNotAllowedError } from './errors.ts';

/**
 * `uri-host [":" port]` (RFC 9110 section 7.2): a name of letters, digits, `-`, `.`, `_`, `~` and percent-encoded
 * bytes, or an address in brackets. No user, path, list or blank: two parties could read them as two hosts.
 */
const HOST = /^(?:(?:[\w.~-]|%[0-9a-f]{2})+|\[[0-9a-f:.]{2,}\])(?::\d{0,5})?$/i;

/** Why the gateway serves such a request to nobody, whatever its target; `undefined`: it may go on. */
export function refusalOf(req: IncomingMessage): Error | undefined {
  const { host, 'transfer-encoding': coding } = req.headers;
  if (host === undefined) {
    if (req.httpVersion === '1.1') return new BadTargetError('HTTP/1.1 without Host (RFC 9112 section 3.2)');
  } else if (!HOST.test(host) || hasTwoHosts(req.rawHeaders)) {
    return new BadTargetError('Host is not one host (RFC 9112 section 3.2)');
  }
  // Where such a message ends nobody can say.
  if (coding !== undefined && req.httpVersion !== '1.1') {
    return new BadTargetError('a transfer coding before HTTP/1.1 (RFC 9112 section 6.1)');
  }
  // It would show a client the fields that the gateway adds for the service (RFC 9110 section 9.3.8).
  if (req.method === 'TRACE') return new MethodNotAllowedError('TRACE');
  return undefined;
}

/** An OPTIONS about the gateway itself, or one that may not be forwarded any more (RFC 9110 section 7.6.2). */
export function isForGateway({ method, headers }: IncomingMessage, target: string): boolean {
  return method === 'OPTIONS' && (target === '*' || headers['max-forwards'] === '0');
}

function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count > 1;
}
