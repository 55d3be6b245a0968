import type { Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * How long a drain waits for connections that the kernel has accepted. The rest of the grace is for clients to leave.
 */
const LETTING_IN_MS = 1_000;
/** A turn of the event loop that took no longer than this did next to nothing. */
const QUIET_TURN_MS = 0.2;

/** Signals that shorten a drain. */
export interface DrainSignals {
  /** Aborted: idle connections are closed. */
  readonly graceOver: AbortSignal;
  /** Aborted: whatever is left is closed. */
  readonly outOfTime: AbortSignal;
}

/**
 * Waits for a short turn of the event loop without a new connection. The kernel resets the connections that wait for a
 * listener when that is closed, unless net.ipv4.tcp_migrate_req hands them on. Until then responses still keep connections
 * alive: otherwise many clients would connect again just now.
 */
export async function letEverybodyIn(server: Server, graceOver: AbortSignal): Promise<void> {
  let cameIn = false;
  const onConnection = () => {
    cameIn = true;
  };
  server.on('connection', onConnection);
  // The rest of the current turn says nothing.
  await nextTurn();
  const giveUpAtMs = performance.now() + LETTING_IN_MS;
  for (let quiet = false; !quiet && !graceOver.aborted && performance.now() < giveUpAtMs; ) {
    cameIn = false;
    const startedAtMs = performance.now();
    await nextTurn();
    quiet = !cameIn && performance.now() - startedAtMs < QUIET_TURN_MS;
  }
  server.off('connection', onConnection);
}

/** Calls back when `signal` is aborted, or at once if it is already. Returns a function that stops waiting. */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) callback();
  else signal.addEventListener('abort', callback, { once: true });
  return () => signal.removeEventListener('abort', callback);
}
