import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { pathOf } from '../../lib/http/path.ts';
import { rendered } from '../../lib/metrics/rendered.ts';
import { readsOpenMetrics } from '../../lib/metrics/series/exemplars.ts';
import type { Port } from '../port.ts';
import type { Parts } from '../wiring/parts.ts';

/** Metrics are rendered at most once in this time. */
export const METRICS_EVERY_MS = 1_000;

/**
 * `/healthz` (the process is alive) and `/readyz` (this port should be sent requests) on both ports; they are not counted.
 * `/metrics` on the internal port, and on the external one with `EXTERNAL_METRICS`.
 */
export function wellKnown(
  parts: Pick<Parts, 'settings' | 'metrics' | 'readiness' | 'scrape' | 'clock'>,
  port: Port,
): RequestHandler {
  const { settings, metrics, readiness, scrape, clock } = parts;
  const { registry, exemplars } = metrics;
  const openMetrics =
    exemplars &&
    rendered({ render: () => exemplars.openMetrics(registry), everyMs: METRICS_EVERY_MS, clock });
  const handlers = new Map<string, (res: Response) => Promise<unknown> | unknown>([
    ['/healthz', (res) => res.json({ status: 'alive' })],
    [
      '/readyz',
      async (res) => {
        const state = await readiness.state(port);
        const isReady = state.missing.length === 0;
        res.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready', ...state });
      },
    ],
  ]);
  if (port === 'internal' || settings.externalMetrics) {
    handlers.set('/metrics', async (res) => {
      if (openMetrics && exemplars && readsOpenMetrics(res.req.headers.accept))
        return res.type(exemplars.contentType).send(await openMetrics());
      return res.type(registry.contentType).send(await scrape());
    });
  }

  return function wellKnownMiddleware(req, res, next) {
    const handler = isRead(req) ? handlers.get(pathOf(req.url)) : undefined;
    if (!handler || exchangeOf(res).refusal) return next();
    res.setHeader('Cache-Control', 'no-store');
    return handler(res) as Promise<void>;
  };
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}
