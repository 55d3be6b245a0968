import type { IncomingMessage } from 'node:http';
import { percentDecodedTwice } from '../routing/spelling/lenientText.ts';

/** Fields with which some frameworks override the method of a request. */
const FIELDS = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const;

/** What no such parameter is without, once it is decoded. */
const NEEDED = /ethod/i;

/**
 * The parameter `_method` as other frameworks may read it: blanks and brackets before it are dropped, a dot, a blank and a
 * bracket in its first place are underscores to PHP, and it may be a list (`_method[]`) or end at a NUL.
 */
const PARAMETER = /^[^a-z0-9_]*[_.\s+[]method(?![a-z0-9_-])/i;

const METHOD = /[A-Z0-9_-]+/g;

/**
 * Whether some framework may read another method for this request that `matches`. It fails closed: each item of a field, and each word
 * of a parameter's value, counts as a method, however it is encoded. The work is in proportion to the length.
 *
 * @param target path and query
 * @param matches gets methods in upper case; '' where a field or a parameter names none
 */
export function overridesMethod(
  { headers }: Pick<IncomingMessage, 'headers'>,
  target: string,
  matches: (method: string) => boolean = () => true,
): boolean {
  for (const name of FIELDS) {
    const value = headers[name];
    if (value !== undefined && namesMethod(String(value), matches)) return true;
  }
  return mayOverride(target) && overridesInQuery(target.slice(target.search(/[?;%]/)), matches);
}

/** Nearly every target has no such parameter, and costs no more than this. */
function mayOverride(target: string): boolean {
  if (target.includes('%')) return true;
  return (target.includes('?') || target.includes(';')) && NEEDED.test(target);
}

/** @param query or what a service that decodes paths, or takes `;` for `&`, may read as one */
function overridesInQuery(query: string, matches: (method: string) => boolean): boolean {
  if (!NEEDED.test(visible(decoded(query)))) return false;
  return query.split(/[?&]/).some((raw) => {
    const part = decoded(raw);
    // Some services take `;` for `&` as well, and a proxy may have decoded what separates.
    const parts = /[?&;#]/.test(part) ? [part, ...part.split(/[?&;#]/)] : [part];
    return parts.some((text) => overridesInPart(text, matches) || overridesInPart(visible(text), matches));
  });
}

function overridesInPart(text: string, matches: (method: string) => boolean): boolean {
  const name = PARAMETER.exec(text)?.[0];
  return name !== undefined && namesMethod(text.slice(name.length), matches);
}

function namesMethod(value: string, matches: (method: string) => boolean): boolean {
  // By way of small letters, which more letters have in common: the Kelvin sign's is `k`.
  const methods = value.toLowerCase().toUpperCase().match(METHOD);
  return methods === null ? matches('') : methods.some((method) => matches(method));
}

/** Twice, and `%u0044`, which ASP.NET reads. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return percentDecodedTwice(text).replace(/%u([\da-f]{4})/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Without what some decoders leave out: what is not to be seen, was no UTF-8, or is a `%` that encodes nothing. */
function visible(text: string): string {
  return text.replace(/[\p{C}\ufffd%]/gu, '');
}
