import type { Request, RequestHandler } from 'express';
import { exchangeOf } from '../../exchange/exchange.ts';
import { pathOf } from '../../http/path.ts';
import { keepPrivate } from './keepPrivate.ts';

/** The query parameter that carries a token (RFC 6750 section 2.3). */
export const ACCESS_TOKEN = 'access_token';

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const PERCENT_ENCODED = /%([0-9a-f]{2})/gi;

/** The tokens of a query. */
export interface TakenTokens {
  /** The value of each parameter of that name, as it was written. At least one. */
  readonly tokens: readonly string[];
  /** The query without them, byte for byte, from its question mark on; '' when nothing is left. */
  readonly rest: string;
}

/**
 * Takes every parameter `name` out of the query that begins with the question mark at `queryAt`. Undefined when there is
 * none. The name is matched as leniently as any service might read it: with percent-encoded characters, in any letter case
 * (as ASP.NET does), and after `;` as well as `&`. It takes time in proportion to the query's length.
 *
 * @param name letters, digits and `-._~` alone
 */
export function takeTokens(target: string, queryAt: number, name = ACCESS_TOKEN): TakenTokens | undefined {
  const wanted = name.toLowerCase();
  const tokens: string[] = [];
  let rest = '';
  /** Everything before this position is in `rest` or was taken out. It is the separator in front of a parameter. */
  let keptFrom = queryAt;
  for (let mark = queryAt; mark < target.length; ) {
    const end = parameterEnd(target, mark + 1);
    const value = tokenIn(target, mark + 1, end, wanted);
    if (value !== undefined) {
      tokens.push(value);
      rest += target.slice(keptFrom, mark);
      keptFrom = end;
    }
    mark = end;
  }
  if (tokens.length === 0) return undefined;
  rest += target.slice(keptFrom);
  return { tokens, rest: rest && `?${rest.slice(1)}` };
}

export interface QueryTokenOptions {
  /** The parameter that carries the token. Default `access_token`. */
  readonly name?: string;
  /** Only requests to these paths, compared byte for byte, and to everything below them. Default: all requests. */
  readonly below?: readonly string[];
}

/**
 * Takes tokens out of queries and puts them into `exchange.takenTokens` for the auth middleware. It must come before
 * everything that reads the request target, so that no service, cache key or log sees a token. Responses get
 * `Cache-Control: private` (RFC 6750 section 2.3) and `no-store`, because a cache between the gateway and the client cannot
 * know that the URL contains a secret. Other requests, and those without a query, are not changed.
 */
export function queryToken({ name = ACCESS_TOKEN, below }: Readonly<QueryTokenOptions> = {}): RequestHandler {
  return function queryTokenMiddleware(req, res, next) {
    const queryAt = req.originalUrl.indexOf('?');
    if (queryAt === -1 || (below && !below.some((path) => isBelow(req.originalUrl, path)))) return next();
    const taken = takeTokens(req.originalUrl, queryAt, name);
    if (!taken) return next();
    const exchange = exchangeOf(res);
    const tokens = taken.tokens.map((value) => ({ from: 'query', name, value }) as const);
    exchange.takenTokens = [...(exchange.takenTokens ?? []), ...tokens];
    exchange.upstreamTarget = withoutTokens(exchange.upstreamTarget, name);
    setTarget(req, req.originalUrl.slice(0, queryAt) + taken.rest);
    keepPrivate(res);
    next();
  };
}

/** The target for the service may have another path than the client's, and further parameters. */
function withoutTokens(target: string, name: string): string {
  const path = pathOf(target);
  const taken = path.length < target.length ? takeTokens(target, path.length, name) : undefined;
  return taken ? path + taken.rest : target;
}

function setTarget(req: Request, target: string): void {
  req.originalUrl = target;
  req.url = target;
}

/** Whether the target's path is `path` or below it. */
function isBelow(target: string, path: string): boolean {
  if (!target.startsWith(path)) return false;
  const next = target.charCodeAt(path.length);
  return next === SLASH || next === QUESTION_MARK;
}

/** Where the parameter that begins at `start` ends: at a separator, or at the end of the query. */
function parameterEnd(target: string, start: number): number {
  for (let i = start; i < target.length; i += 1) {
    const character = target[i];
    if (character === '&' || character === ';') return i;
  }
  return target.length;
}

/** The value of the parameter from `start` to `end`, if it is called `wanted`. */
function tokenIn(target: string, start: number, end: number, wanted: string): string | undefined {
  if (end - start < wanted.length) return undefined;
  // When each of its characters is percent-encoded.
  const longestName = wanted.length * 3;
  const nameEnd = nameEndIn(target, start, end, longestName);
  if (nameEnd - start > longestName || !isNamed(target.slice(start, nameEnd), wanted)) return undefined;
  return target.slice(Math.min(nameEnd + 1, end), end);
}

/** Stops as soon as the name is too long. */
function nameEndIn(target: string, start: number, end: number, longestName: number): number {
  const last = Math.min(end, start + longestName + 1);
  for (let i = start; i < last; i += 1) if (target[i] === '=') return i;
  return last;
}

function isNamed(name: string, wanted: string): boolean {
  const read = name.includes('%')
    ? name.replace(PERCENT_ENCODED, (_encoded, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : name;
  return read.length === wanted.length && read.toLowerCase() === wanted;
}
