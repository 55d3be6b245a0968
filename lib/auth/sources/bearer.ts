import type { IncomingMessage } from 'node:http';
import type { Exchange } from '../../exchange/exchange.ts';
import { fieldCount } from '../../http/fields.ts';
import { subprotocols } from '../../http/subprotocol.ts';
import { type TokenError, tokenError } from '../errors.ts';

const SCHEME = 'bearer ';

/** The quality value of a type that is not acceptable (RFC 9110 section 12.4.2). */
const REFUSED = /^\s*q\s*=\s*0(?:\.0{0,3})?\s*$/i;

// Made once: a flood of requests without a token must not cost an error each.
export const NO_FIELD = tokenError('token_missing', 'no Authorization field');
const SEVERAL_FIELDS = tokenError('token_invalid', 'more than one Authorization field');
const OTHER_SCHEME = tokenError('token_missing', 'the Authorization field is not of the Bearer scheme');
const EMPTY = tokenError('token_missing', 'the Bearer token is empty');
const NOT_FROM_QUERY = tokenError(
  'token_missing',
  'no Authorization field, and an access_token in the query counts for WebSocket handshakes and event streams only',
);
const SEVERAL_IN_QUERY = tokenError('token_invalid', 'more than one access_token in the query');
const EMPTY_IN_QUERY = tokenError('token_missing', 'the access_token in the query is empty');

/** What tells who is calling apart from the request's header fields. */
export type BesideFields = Pick<Exchange, 'takenTokens' | 'upgradeHead'>;

/**
 * The token of a request: from its header fields, see `readBearer`, or else from its query (RFC 6750 section 2.3), where
 * the `queryToken` middleware has found one. The query counts only where a page in a browser cannot set a header field: for
 * a WebSocket handshake, and for a GET that accepts `text/event-stream`. A token in a header field always wins. Undefined:
 * there is nothing in either.
 */
export function readToken(req: IncomingMessage, beside: BesideFields): string | TokenError | undefined {
  return readBearerIfAny(req) ?? queryToken(req, beside);
}

function queryToken(
  req: IncomingMessage,
  { takenTokens, upgradeHead }: BesideFields,
): string | TokenError | undefined {
  if (!takenTokens) return undefined;
  if (!upgradeHead && !acceptsEventStream(req)) return NOT_FROM_QUERY;
  if (takenTokens.length > 1) return SEVERAL_IN_QUERY;
  return decoded(takenTokens[0]?.value ?? '') || EMPTY_IN_QUERY;
}

/** A token has no characters that need percent-encoding, so a value that cannot be decoded is no valid token anyway. */
export function decoded(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * Whether `Accept` names the type itself, as `EventSource` does. A wildcard does not count: browsers send one for links and
 * images.
 */
function acceptsEventStream({ method, headers: { accept } }: IncomingMessage): boolean {
  if (method !== 'GET' || accept === undefined) return false;
  return accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';');
    const isRefused = parameters.some((parameter) => REFUSED.test(parameter));
    return type.trim().toLowerCase() === 'text/event-stream' && !isRefused;
  });
}

/**
 * The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1); the scheme's case does not matter.
 * Returns a `TokenError` when there is no token, and when there are several fields, since nobody can know which one counts.
 */
export function readBearer(req: IncomingMessage): string | TokenError {
  return readBearerIfAny(req) ?? NO_FIELD;
}

/** The same, but undefined where there is no such field. */
export function readBearerIfAny(req: IncomingMessage): string | TokenError | undefined {
  const field = req.headers.authorization ?? offeredToken(req);
  if (field === undefined) return undefined;
  if (fieldCount(req.rawHeaders, 'authorization') > 1) return SEVERAL_FIELDS;
  if (field.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return OTHER_SCHEME;
  return field.slice(SCHEME.length).trim() || EMPTY;
}

/** The same, but throws the `TokenError`. */
export function bearerToken(req: IncomingMessage): string {
  const token = readBearer(req);
  if (typeof token !== 'string') throw token;
  return token;
}

/** The token among the subprotocols: a browser can set no other field of a WebSocket handshake. */
function offeredToken({ headers }: IncomingMessage): string | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
  const { token } = subprotocols(headers['sec-websocket-protocol']);
  return token && `${SCHEME}${token}`;
}
