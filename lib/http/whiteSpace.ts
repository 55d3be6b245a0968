const SPACE = 0x20;
const TAB = 0x09;

/**
 * Removes HTTP's white space around `text` (OWS, RFC 9110 section 5.6.3), in time proportional to its length. `trim` would also
 * remove characters that are significant for a service, such as the no-break space.
 */
export function withoutSpace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}
