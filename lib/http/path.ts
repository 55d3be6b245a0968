/** What a JWT begins with, `{"` in base64url, and more of it than a word is long. Linear: what matches is not looked at again. */
const TOKENS = /eyJ[\w.%-]{40,}/g;

/** The path of a request target, byte for byte: what stands before the query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/**
 * The path of a request target as logs and traces may show it: without query and fragment, and with `eyJ...` in place of
 * whatever looks like a JWT. Clients that build URLs by hand put tokens behind `&`, `;` or `%3F`, into the path.
 */
export function shownPath(target: string): string {
  const path = pathOf(target);
  const fragment = path.indexOf('#');
  const shown = fragment === -1 ? path : path.slice(0, fragment);
  return shown.includes('eyJ') ? shown.replace(TOKENS, 'eyJ...') : shown;
}
