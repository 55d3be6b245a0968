import type { IncomingMessage } from 'node:http';

/** Fields by which some frameworks let a request have another method than it says. */
const FIELDS = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const;

/** The parameter of the query by which others do. */
const PARAMETER = '_method=';

/**
 * Whether some framework may take the request for one of another method, and `matches` says so of that method. The
 * parameter counts as it is written, not percent-encoded: who means another method writes it so.
 *
 * @param target path and query
 */
export function overridesMethod(
  { headers }: Pick<IncomingMessage, 'headers'>,
  target: string,
  matches: (method: string) => boolean = () => true,
): boolean {
  for (const name of FIELDS) if (headers[name] !== undefined && matches(String(headers[name]))) return true;
  return overridesInQuery(target, matches);
}

function overridesInQuery(target: string, matches: (method: string) => boolean): boolean {
  const query = target.indexOf('?');
  if (query === -1) return false;
  for (let at = target.indexOf(PARAMETER, query); at !== -1; at = target.indexOf(PARAMETER, at + 1)) {
    const before = target[at - 1];
    if (before !== '?' && before !== '&') continue;
    const end = target.indexOf('&', at);
    if (matches(target.slice(at + PARAMETER.length, end === -1 ? undefined : end))) return true;
  }
  return false;
}
