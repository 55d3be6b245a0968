import type { IncomingMessage } from 'node:http';
import { overridesMethod } from './methodOverride.ts';

/** Methods that ask for no change (RFC 9110 section 9.2.1). */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Whether some service may take the request for one that changes something: by its method, or by one that a field or the
 * query puts in its place.
 *
 * @param target path and query
 */
export function mayChange(req: Pick<IncomingMessage, 'method' | 'headers'>, target: string): boolean {
  return !SAFE_METHODS.has(req.method ?? '') || overridesMethod(req, target, isUnsafe);
}

function isUnsafe(method: string): boolean {
  return !SAFE_METHODS.has(method);
}
