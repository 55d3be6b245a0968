import type { IncomingMessage } from 'node:http';

/** The cookies of one name in a `Cookie` field. */
export interface TakenCookies {
  /** Their values, without double quotes around them. */
  readonly values: readonly string[];
  /** The field without them; '' when nothing is left. */
  readonly rest: string;
}

/**
 * Takes every cookie called `name` out of a `Cookie` field. What is called so in another letter case is taken out as well,
 * since some service may read it, and is none of the values. Undefined when there is none of either.
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

/**
 * Removes the cookie from both forms in which Node gives fields: a client may have sent several `Cookie` lines.
 *
 * @param rest what `takeCookies` has left of `req.headers.cookie`
 */
export function removeCookie(req: IncomingMessage, name: string, rest: string): void {
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

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
