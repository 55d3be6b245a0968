import type { IncomingMessage } from 'node:http';
import { subprotocols } from '../exchange/subprotocol.ts';
import { TokenError } from './errors.ts';

const SCHEME = 'bearer ';

/**
 * The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1); the scheme's case does not matter.
 * Throws `TokenError` when there is none, or more than one field: which of two is meant nobody can know.
 */
export function bearerToken(req: IncomingMessage): string {
  const field = req.headers.authorization ?? offeredToken(req);
  if (field === undefined) throw new TokenError('token_missing', 'no Authorization field');
  if (countOf(req.rawHeaders, 'authorization') > 1) {
    throw new TokenError('token_invalid', 'more than one Authorization field');
  }
  if (field.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    throw new TokenError('token_missing', 'the Authorization field is not of the Bearer scheme');
  }
  const token = field.slice(SCHEME.length).trim();
  if (!token) throw new TokenError('token_missing', 'the Bearer token is empty');
  return token;
}

/** What a browser says instead, which can set no field on a WebSocket but its subprotocols. */
function offeredToken({ headers }: IncomingMessage): string | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
  const { token } = subprotocols(headers['sec-websocket-protocol']);
  return token && `${SCHEME}${token}`;
}

function countOf(rawHeaders: readonly string[], lowerCaseName: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) count += 1;
  }
  return count;
}
