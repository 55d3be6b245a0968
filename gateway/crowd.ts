import type { Server } from 'node:http';
import type { Limiter } from '../lib/concurrency/limiter.ts';

/** The part of a port's places from which idle connections are kept for a shorter time. */
const CROWDED = 0.75;
const CROWDED_KEEP_ALIVE_MS = 5_000;

export interface CrowdOptions {
  readonly keepAliveTimeoutMs: number;
  /** 0: no limit, so it is never crowded. */
  readonly maxConnections: number;
  /** Counts the connections of several threads together. */
  readonly connections?: Limiter | undefined;
}

/**
 * Keeps idle connections for `keepAliveTimeoutMs`, and for 5 s at most while three quarters of the places are taken:
 * clients that have gone idle must not keep others out. It holds for connections that become idle from then on.
 */
export function sharesPlaces(server: Server, options: Readonly<CrowdOptions>): void {
  const { keepAliveTimeoutMs, maxConnections, connections } = options;
  const crowdedMs = Math.min(keepAliveTimeoutMs, CROWDED_KEEP_ALIVE_MS);
  let open = 0;
  const adjust = (change: number) => {
    open += change;
    const isCrowded = maxConnections > 0 && (connections?.held ?? open) >= maxConnections * CROWDED;
    server.keepAliveTimeout = isCrowded ? crowdedMs : keepAliveTimeoutMs;
  };
  adjust(0);
  server.on('connection', (socket) => {
    adjust(1);
    socket.once('close', () => adjust(-1));
  });
}
