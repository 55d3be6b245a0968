import type { RequestHandler } from 'express';
import { exchangeOf } from '../../exchange/exchange.ts';
import { removeCookie, takeCookies } from '../../http/cookies.ts';
import { keepPrivate } from './keepPrivate.ts';

export interface CookieTokenOptions {
  /** The cookie that carries the token. Its letter case counts (RFC 6265 section 4.1.1). */
  readonly name: string;
  /** Leaves it where it is, for a service that reads it as well. Default false. */
  readonly passes?: boolean;
}

/**
 * Takes the cookie `name` out of requests and puts it into `exchange.takenTokens` for the auth middleware. It must come
 * before everything that reads the fields, so that neither services nor cache keys have the token. Responses to requests
 * with it get `Cache-Control: private`, because a cache between the gateway and the client may not know that they are for
 * one user.
 */
export function cookieToken({ name, passes = false }: Readonly<CookieTokenOptions>): RequestHandler {
  return function cookieTokenMiddleware(req, res, next) {
    const { cookie } = req.headers;
    const taken = cookie === undefined ? undefined : takeCookies(cookie, name);
    if (!taken) return next();
    const exchange = exchangeOf(res);
    const tokens = taken.values.map((value) => ({ from: 'cookie', name, value }) as const);
    if (tokens.length > 0) exchange.takenTokens = [...(exchange.takenTokens ?? []), ...tokens];
    if (!passes) removeCookie(req, name, taken.rest);
    keepPrivate(res);
    next();
  };
}
