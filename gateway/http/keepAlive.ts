import type { Server } from 'node:http';
import type { Permits } from '../../lib/concurrency/permits.ts';

/**
 * What clients are told in `Keep-Alive` at the most. Those that read the field have let go of an idle connection before
 * `DRAIN_GRACE` is over; load balancers do not read it.
 */
const TOLD_MS = 5_000;
/** A connection stays open for at least this much longer than its client is told. */
const MARGIN_MS = 1_000;
/** The part of a port's places from which idle connections are kept for no longer than clients are told. */
const CROWDED = 0.75;

export interface KeepAliveOptions {
  /** How long an idle connection stays open. */
  readonly keepAliveTimeoutMs: number;
  /** 0: no limit, so it is never crowded. */
  readonly maxConnections: number;
  /** Counts the connections of several threads together. */
  readonly connections?: Permits | undefined;
}

/**
 * Keeps idle connections for `keepAliveTimeoutMs`, and for 6 s at most while three quarters of the places are taken:
 * clients that have gone idle must not keep others out. It holds for connections that become idle from then on.
 */
export function keepIdleConnections(server: Server, options: Readonly<KeepAliveOptions>): void {
  const { keepAliveTimeoutMs, maxConnections, connections } = options;
  const toldMs = Math.max(1, Math.min(TOLD_MS, keepAliveTimeoutMs - MARGIN_MS));
  let open = 0;
  const adjust = (change: number) => {
    open += change;
    const isCrowded = maxConnections > 0 && (connections?.held ?? open) >= maxConnections * CROWDED;
    const keptMs = isCrowded ? Math.min(keepAliveTimeoutMs, TOLD_MS + MARGIN_MS) : keepAliveTimeoutMs;
    server.keepAliveTimeoutBuffer = Math.max(0, keptMs - toldMs);
  };
  server.keepAliveTimeout = toldMs;
  adjust(0);
  server.on('connection', (socket) => {
    adjust(1);
    socket.once('close', () => adjust(-1));
  });
}
