import type { Request } from 'express';
import { pathOf } from '../http/path.ts';

/**
 * Recognises requests that need no token because their responses hand one out. The method must be `POST`, and the path is
 * compared byte for byte, so that no encoding or suffix makes another path public.
 */
export function issuingRequests(paths: readonly string[] = []): (req: Request) => boolean {
  const issuing = new Set(paths);
  return (req) => issuing.size > 0 && req.method === 'POST' && issuing.has(pathOf(req.originalUrl));
}
