import type { ServerResponse } from 'node:http';

/** Larger content is not copied into a string. */
const MAX_STRING_BYTES = 16 * 1024;

/**
 * Ends an answer with its last content. Where it goes to a socket and is small it goes as a string, which Node joins to
 * a head that has not left yet: written beside it, as a buffer is, it costs a tenth more.
 */
export function endWith(res: ServerResponse, content: Buffer): void {
  if (res.socket && content.length <= MAX_STRING_BYTES) res.end(content.toString('latin1'), 'latin1');
  else res.end(content);
}
