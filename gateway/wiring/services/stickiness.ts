import { randomUUID } from 'node:crypto';
import type { Settings } from '../../../config/config.ts';
import { stickyCookies } from '../../../config/sections/stickyCookies.ts';
import { stickyKey } from '../../../lib/loadbalancer/affinity/stickyReplicas.ts';
import type { Stickiness } from '../parts.ts';

/**
 * The cookies that name replicas, if there are any. Without a secret that outlives the process they are good until it ends.
 *
 * @param ofProcess what all threads of the process know and nobody else
 */
export function stickinessOf(settings: Settings, ofProcess: string = randomUUID()): Stickiness | undefined {
  const cookies = stickyCookies(settings);
  if (cookies.length === 0) return undefined;
  return { cookies, key: stickyKey(settings.stickySecret ?? settings.jwtSecret ?? ofProcess) };
}
