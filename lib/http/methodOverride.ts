import type { IncomingMessage } from 'node:http';

/** Fields with which some frameworks override the method of a request. */
const FIELDS = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const;

/** The query parameter with which other frameworks do so. */
const PARAMETER = '_method=';

/**
 * Whether some framework may read another method for this request that `matches`. The query parameter is only recognised without
 * percent-encoding, which nobody uses who means it.
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
