import type { IncomingMessage } from 'node:http';
import { isToken } from '../http1/grammar.ts';

/**
 * The method that a browser asks for before it sends a page's request to another origin (Fetch, "CORS-preflight request").
 * Undefined: it is no preflight.
 */
export function askedMethod({
  method,
  headers,
}: Pick<IncomingMessage, 'method' | 'headers'>): string | undefined {
  if (method !== 'OPTIONS' || headers.origin === undefined) return undefined;
  return headers['access-control-request-method'];
}

/** The names of the fields that the page's request will have, in lower case, of those that browsers do not always allow. */
export function announcedFields({ headers }: Pick<IncomingMessage, 'headers'>): ReadonlySet<string> {
  const names = headers['access-control-request-headers'];
  return new Set(names === undefined ? [] : namesIn(names));
}

/** Whether the text is a list of field names, which may be repeated to whoever has sent it. */
export function isNameList(text: string): boolean {
  return namesIn(text).every(isToken);
}

function namesIn(list: string): string[] {
  return list.split(',').map((name) => name.trim().toLowerCase());
}
