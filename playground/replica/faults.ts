import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import { isHealthCheck } from '../services/common.ts';
import { goneSignal } from '../services/gone.ts';

/** How a replica misbehaves on request. */
export interface Faults {
  /** Every answer comes so many milliseconds late; 0 for none. */
  readonly delayMs: number;
  /** Every answer has this status, 400 to 599, and nothing else; 0 for the usual answers. */
  readonly status: number;
}

export const NO_FAULTS: Faults = { delayMs: 0, status: 0 };

/**
 * Misbehaves as `current` says at each request. Health checks are spared: the registry would take the replica out
 * of use, and nobody would see the gateway find out by itself.
 */
export function misbehave(current: () => Faults): RequestHandler {
  return async function misbehaveMiddleware(req, res, next) {
    if (isHealthCheck(req)) return next();
    const { delayMs, status } = current();
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: goneSignal(res) }).catch(() => {});
    if (res.destroyed) return;
    if (status === 0) return next();
    res.status(status).json({ error: `this replica was told to answer everything with ${status}` });
  };
}
