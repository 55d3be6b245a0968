import { withoutKeys } from '../apikeys/keyText.ts';

/**
 * Text that begins like a JWT (`{"` in base64url) and is longer than any word. Matching takes linear time, because matched text
 * is not examined again.
 */
const TOKENS = /eyJ[\w.%-]{40,}/g;

/** The path of a request target, byte for byte: everything before the query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/**
 * The path of a request target for logs and traces: without query and fragment, and with `eyJ...` in place of anything that looks
 * like a JWT, and of an API key no more than its id. Clients that build URLs by hand put tokens after `&`, `;` or `%3F`, and so into the path.
 */
export function shownPath(target: string): string {
  const path = pathOf(target);
  const fragment = path.indexOf('#');
  const shown = withoutKeys(fragment === -1 ? path : path.slice(0, fragment));
  return shown.includes('eyJ') ? shown.replace(TOKENS, 'eyJ...') : shown;
}
