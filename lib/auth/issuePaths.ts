import type { Request } from 'express';
import { pathOf } from '../http/path.ts';

/**
 * Recognises requests that need no token because their responses hand one out. The method must be `POST`, and the path is
 * compared byte for byte, so that no encoding or suffix makes another path public.
 *
 * @param always whether every POST is one, whatever its path
 */
export function issuingRequests(paths: readonly string[] = [], always = false): (req: Request) => boolean {
  const issuing = new Set(paths);
  return (req) =>
    req.method === 'POST' && (always || (issuing.size > 0 && issuing.has(pathOf(req.originalUrl))));
}
