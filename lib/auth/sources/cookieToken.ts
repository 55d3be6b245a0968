import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { exchangeOf } from '../../exchange/exchange.ts';
import { keepPrivate } from './keepPrivate.ts';

export interface CookieTokenOptions {
  /** The cookie that carries the token. Its letter case counts (RFC 6265 section 4.1.1). */
  readonly name: string;
  /** Leaves it where it is, for a service that reads it as well. Default false. */
  readonly passes?: boolean;
}

/** The cookies of one name in a `Cookie` field. */
export interface TakenCookies {
  /** Their values, without double quotes around them. */
  readonly values: readonly string[];
  /** The field without them; '' when nothing is left. */
  readonly rest: string;
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

/**
 * Takes every cookie called `name` out of a `Cookie` field. What is called so in another letter case is taken out as well,
 * since some service may read it, and is no token. Undefined when there is none of either.
 */
export function takeCookies(field: string, name: string): TakenCookies | undefined {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  const rest: string[] = [];
  let isThere = false;
  for (const part of field.split(';')) {
    const equals = part.indexOf('=');
    const own = (equals === -1 ? part : part.slice(0, equals)).trim();
    if (own.toLowerCase() === wanted) {
      isThere = true;
      if (own === name) values.push(equals === -1 ? '' : unquoted(part.slice(equals + 1).trim()));
    } else rest.push(part);
  }
  return isThere ? { values, rest: rest.join(';').trim() } : undefined;
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** From both forms in which Node gives fields: a client may have sent several `Cookie` lines. */
function removeCookie(req: IncomingMessage, name: string, rest: string): void {
  if (rest === '') delete req.headers.cookie;
  else req.headers.cookie = rest;
  const kept: string[] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const field = req.rawHeaders[i] as string;
    const value = req.rawHeaders[i + 1] as string;
    const isCookie = field.toLowerCase() === 'cookie';
    const left = isCookie ? (takeCookies(value, name)?.rest ?? value) : value;
    if (!isCookie || left !== '') kept.push(field, left);
  }
  req.rawHeaders = kept;
}
