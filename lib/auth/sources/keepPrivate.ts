import type { Response } from 'express';
import { writerOf } from '../../response/responseWriter.ts';
import { TARGETED_FIELDS } from '../../response/targetedFields.ts';

/**
 * Keeps caches between the gateway and the client from storing the response, whatever the service says: the request has
 * carried its token where such a cache may not look for one.
 */
export function keepPrivate(res: Response): void {
  const writer = writerOf(res);
  writer.replace('Cache-Control', cacheControl);
  for (const name of TARGETED_FIELDS) writer.replace(name, nothing);
}

function cacheControl(status: number): string {
  return status < 300 ? 'private, no-store' : 'no-store';
}

function nothing(): undefined {
  return undefined;
}
