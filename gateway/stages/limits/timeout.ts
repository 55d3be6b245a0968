import { timeout as timeoutMiddleware } from '../../../lib/timeout/middleware.ts';
import type { Stage } from '../stage.ts';

/** Ends a request whose response has not begun in time. */
export const timeout: Stage = ({ port, parts, service: { settings } }) => {
  const { clock, metrics } = parts;
  return timeoutMiddleware({
    timeoutMs: settings.requestTimeoutMs,
    bodyTimeoutMs: parts.settings.bodyTimeoutMs,
    minUploadRate: parts.settings.minUploadRate,
    // A service that calls another may pass on its own deadline; a user may not.
    acceptCallersDeadline: port === 'internal',
    onTimeout: () => metrics.timeouts.count(settings.path, port),
    clock,
  });
};
