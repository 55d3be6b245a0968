import type { IncomingMessage } from 'node:http';

/** How long a client may go on sending content after its response is complete. */
const LINGER_MS = 5_000;

/**
 * Reads the rest of a request whose response is complete, for a limited time. Then the connection can be used again.
 */
export function linger(req: IncomingMessage): void {
  if (req.socket.destroyed) return;
  const cut = setTimeout(() => {
    if (!req.complete) req.socket.destroy();
  }, LINGER_MS).unref();
  req.once('close', () => clearTimeout(cut));
}
