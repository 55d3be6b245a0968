/**
 * Encodings that different programs read differently: control characters, the backslash, `%u` encodings (IIS only), and
 * overlong UTF-8 (RFC 3629 section 3), which can hide a dot or slash.
 */
const UNREADABLE = /%(?:[01][0-9a-f]|7f|5c|c[01]%[89ab]|e0%[89]|f0%8|u[0-9a-f])/i;

/**
 * Whether two parties could read the path differently: dot segments in any encoding, backslashes, control characters,
 * overlong encodings. `//` and `%2F` are none of these.
 */
export function isAmbiguousPath(path: string): boolean {
  if (path.includes('\\')) return true;
  if (!path.includes('/.') && !path.includes('%')) return false;
  return hasDotSegment(path.replace(/%(2e|2f|3b|5c)/gi, decodeOnce)) || UNREADABLE.test(path);
}

/** The same of what is left when it is decoded once, twice and so on, as often as there is something to decode. */
export function isAmbiguousOnceDecoded(path: string): boolean {
  for (let text = path; ; ) {
    if (isAmbiguousPath(text)) return true;
    const decoded = text.replace(/%[2-7][0-9a-f]/gi, decodeOnce);
    if (decoded === text) return false;
    text = decoded;
  }
}

function decodeOnce(encoded: string): string {
  return String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
}

/** For some servers `;` ends the name of a segment, so that `/..;/` is a dot segment. */
function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => /^\.\.?(?:;|$)/.test(segment));
}
