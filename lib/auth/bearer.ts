import type { IncomingMessage } from 'node:http';
import { subprotocols } from '../exchange/subprotocol.ts';
import { type TokenError, tokenError } from './errors.ts';

const SCHEME = 'bearer ';

// Made once: a flood of requests without a token must not cost an error each.
const NO_FIELD = tokenError('token_missing', 'no Authorization field');
const SEVERAL_FIELDS = tokenError('token_invalid', 'more than one Authorization field');
const OTHER_SCHEME = tokenError('token_missing', 'the Authorization field is not of the Bearer scheme');
const EMPTY = tokenError('token_missing', 'the Bearer token is empty');

/**
 * The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1); the scheme's case does not matter.
 * `TokenError` when there is none, or more than one field: which of two is meant nobody can know.
 */
export function readBearer(req: IncomingMessage): string | TokenError {
  const field = req.headers.authorization ?? offeredToken(req);
  if (field === undefined) return NO_FIELD;
  if (countOf(req.rawHeaders, 'authorization') > 1) return SEVERAL_FIELDS;
  if (field.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return OTHER_SCHEME;
  return field.slice(SCHEME.length).trim() || EMPTY;
}

/** The same, throwing what there is instead of a token. */
export function bearerToken(req: IncomingMessage): string {
  const token = readBearer(req);
  if (typeof token !== 'string') throw token;
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
