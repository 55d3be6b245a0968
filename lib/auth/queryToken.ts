import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import { pathOf } from '../http/path.ts';
import { writerOf } from '../response/responseWriter.ts';

/** The query parameter that carries a token (RFC 6750 section 2.3). */
const NAME = 'access_token';

/** The length of the name when each of its characters is percent-encoded. */
const LONGEST_NAME = NAME.length * 3;

/**
 * Fields that address certain caches in front of the gateway (RFC 9213, and proprietary ones). For such a cache the field
 * overrides `Cache-Control`.
 */
const TARGETED_FIELDS = [
  'CDN-Cache-Control',
  'Cloudflare-CDN-Cache-Control',
  'Netlify-CDN-Cache-Control',
  'Vercel-CDN-Cache-Control',
  'Edge-Control',
  'Surrogate-Control',
  'X-Accel-Expires',
  'X-LiteSpeed-Cache-Control',
] as const;

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const PERCENT_ENCODED = /%([0-9a-f]{2})/gi;

/** The tokens of a query. */
export interface TakenTokens {
  /** The value of each `access_token`, as it was written. At least one. */
  readonly tokens: readonly string[];
  /** The query without them, byte for byte, from its question mark on; '' when nothing is left. */
  readonly rest: string;
}

/**
 * Takes every `access_token` out of the query that begins with the question mark at `queryAt`. Undefined when there is
 * none. The name is matched as leniently as any service might read it: with percent-encoded characters, in any letter case
 * (as ASP.NET does), and after `;` as well as `&`. It takes time in proportion to the query's length.
 */
export function takeTokens(target: string, queryAt: number): TakenTokens | undefined {
  const tokens: string[] = [];
  let rest = '';
  /** Everything before this position is in `rest` or was taken out. It is the separator in front of a parameter. */
  let keptFrom = queryAt;
  for (let mark = queryAt; mark < target.length; ) {
    const end = parameterEnd(target, mark + 1);
    const value = tokenIn(target, mark + 1, end);
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

/**
 * Takes tokens out of the queries of requests to `paths` and everything below them (compared byte for byte), and puts them
 * into `exchange.queryTokens` for the auth middleware. It must come before everything that reads the request target, so
 * that no service, cache key or log sees a token. Responses get `Cache-Control: private` (RFC 6750 section 2.3) and
 * `no-store`, because a cache between the gateway and the client cannot know that the URL contains a secret. Requests to
 * other paths, or without a query, are not changed.
 */
export function queryToken(paths: readonly string[]): RequestHandler {
  return function queryTokenMiddleware(req, res, next) {
    const queryAt = req.originalUrl.indexOf('?');
    if (queryAt === -1 || !paths.some((path) => isBelow(req.originalUrl, path))) return next();
    const taken = takeTokens(req.originalUrl, queryAt);
    if (!taken) return next();
    const exchange = exchangeOf(res);
    exchange.queryTokens = taken.tokens;
    // The target for the service may have been given a slash that the client's target has not.
    if (exchange.upstreamTarget) exchange.upstreamTarget = pathOf(exchange.upstreamTarget) + taken.rest;
    setTarget(req, req.originalUrl.slice(0, queryAt) + taken.rest);
    keepPrivate(res);
    next();
  };
}

function keepPrivate(res: Response): void {
  const writer = writerOf(res);
  writer.replace('Cache-Control', cacheControl);
  for (const name of TARGETED_FIELDS) writer.replace(name, nothing);
}

function cacheControl(status: number): string {
  return status < 300 ? 'private, no-store' : 'no-store';
}

function nothing(): undefined {
  return undefined;
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

/** The value of the parameter from `start` to `end`, if it is an `access_token`. */
function tokenIn(target: string, start: number, end: number): string | undefined {
  if (end - start < NAME.length) return undefined;
  const nameEnd = nameEndIn(target, start, end);
  if (nameEnd - start > LONGEST_NAME || !isTokenName(target.slice(start, nameEnd))) return undefined;
  return target.slice(Math.min(nameEnd + 1, end), end);
}

/** Stops as soon as the name is too long to be `access_token`. */
function nameEndIn(target: string, start: number, end: number): number {
  const last = Math.min(end, start + LONGEST_NAME + 1);
  for (let i = start; i < last; i += 1) if (target[i] === '=') return i;
  return last;
}

function isTokenName(name: string): boolean {
  const read = name.includes('%')
    ? name.replace(PERCENT_ENCODED, (_encoded, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : name;
  return read.length === NAME.length && read.toLowerCase() === NAME;
}
