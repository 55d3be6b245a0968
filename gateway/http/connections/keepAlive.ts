import type { Server } from 'node:http';
import type { Permits } from '../../../lib/concurrency/permits.ts';

/**
 * The longest time that `Keep-Alive` tells clients. Clients that read the field have closed an idle connection before
 * `DRAIN_GRACE` is over. Load balancers do not read it.
 */
const TOLD_MS = 5_000;
/** A connection stays open for at least this much longer than the client was told. */
const MARGIN_MS = 1_000;
/** When this part of a port's connections is in use, idle ones are kept no longer than clients were told. */
const CROWDED = 0.75;

export interface KeepAliveOptions {
  /** How long an idle connection stays open. */
  readonly keepAliveTimeoutMs: number;
  /** 0: no limit, so that idle connections are always kept for the full time. */
  readonly maxConnections: number;
  /** Counts the connections of several threads together. */
  readonly connections?: Permits | undefined;
}

/**
 * Keeps idle connections for `keepAliveTimeoutMs`, but only for 6 s while three quarters of the connections are in use, so
 * that idle clients do not keep others out. A change applies to connections that become idle from then on.
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
