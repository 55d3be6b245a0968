import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { keepPrivate } from '../auth/sources/keepPrivate.ts';
import type { TokenReader } from '../auth/sources/readToken.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { apiKeyError } from './errors.ts';

// Made once: a flood of such requests must not cost an error each.
const SEVERAL = apiKeyError('api_key_invalid', 'more than one API key');
const EMPTY = apiKeyError('api_key_invalid', 'the API key is empty');
const WITH_TOKEN = apiKeyError('api_key_invalid', 'an API key and a token: nobody can know which one counts');

export interface ApiKeyFieldOptions {
  /** The fields that carry a key, in lower case. */
  readonly names: readonly string[];
  /** Leaves them where they are, for a service that reads them as well. Default false. */
  readonly passes?: boolean;
}

/**
 * Takes API keys out of the fields of requests and puts them into `exchange.takenTokens`. It must come before everything that
 * reads the fields, so that neither services nor cache keys have the key. Responses to requests with one get
 * `Cache-Control: private`, because a cache between the gateway and the client does not know that they are for one caller.
 */
export function apiKeyField({ names, passes = false }: Readonly<ApiKeyFieldOptions>): RequestHandler {
  return function apiKeyFieldMiddleware(req, res, next) {
    if (!hasAny(req, names)) return next();
    const exchange = exchangeOf(res);
    exchange.takenTokens = [...(exchange.takenTokens ?? []), ...keysIn(req, names)];
    if (!passes) removeFields(req, names);
    keepPrivate(res);
    next();
  };
}

function hasAny({ headers }: IncomingMessage, names: readonly string[]): boolean {
  for (const name of names) if (headers[name] !== undefined) return true;
  return false;
}

/** Each line by itself: Node puts several into one value. */
function keysIn({ rawHeaders }: IncomingMessage, names: readonly string[]) {
  const keys: { readonly from: 'field'; readonly name: string; readonly value: string }[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (names.includes(name)) keys.push({ from: 'field', name, value: rawHeaders[i + 1] as string });
  }
  return keys;
}

/** From both forms in which Node gives fields. */
function removeFields(req: IncomingMessage, names: readonly string[]): void {
  for (const name of names) delete req.headers[name];
  const kept: string[] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string;
    if (!names.includes(name.toLowerCase())) kept.push(name, req.rawHeaders[i + 1] as string);
  }
  req.rawHeaders = kept;
}

/** The API key of a request, why it has none that can count, or undefined where it brings none. */
export type ApiKeyReader = (req: IncomingMessage, exchange: Exchange) => string | Error | undefined;

/**
 * Reads what `apiKeyField` has taken. Two keys, also equal ones, and a key together with anything that `readToken` finds are
 * refused: nobody can know which of them counts, and whoever adds one must not choose.
 */
export function apiKeyReader(readToken: TokenReader): ApiKeyReader {
  return (req, exchange) => {
    if (exchange.takenTokens === undefined) return undefined;
    const [key, ...more] = exchange.takenTokens.filter(({ from }) => from === 'field');
    if (key === undefined) return undefined;
    if (more.length > 0) return SEVERAL;
    if (readToken(req, exchange) !== undefined) return WITH_TOKEN;
    return key.value.trim() || EMPTY;
  };
}
