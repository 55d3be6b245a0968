import type { IncomingMessage } from 'node:http';

/** Whether the request has content (RFC 9112 section 6). It reads `rawHeaders`, which no middleware changes. */
export function hasContent({ rawHeaders }: IncomingMessage): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return true;
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(rawHeaders[i + 1]) > 0;
  }
  return false;
}

/** Whether the request may be sent twice: a GET or HEAD (RFC 9110 section 9.2.1) without content. */
export function isRepeatable(req: IncomingMessage): boolean {
  return (req.method === 'GET' || req.method === 'HEAD') && !hasContent(req);
}
