import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { pathOf } from '../lib/exchange/path.ts';
import { readsOpenMetrics } from '../lib/metrics/exemplars.ts';
import type { Parts } from './parts.ts';

/** `/metrics`, `/healthz` (the process lives) and `/readyz` (send it requests): on both ports, not counted. */
export function wellKnown({
  metrics,
  readiness,
  scrape,
}: Pick<Parts, 'metrics' | 'readiness' | 'scrape'>): RequestHandler {
  let rendering: Promise<string> | undefined;
  /** One rendering for all who ask meanwhile. */
  function rendered(): Promise<string> {
    rendering ??= scrape().finally(() => {
      rendering = undefined;
    });
    return rendering;
  }
  const answers = new Map<string, (res: Response) => Promise<unknown> | unknown>([
    ['/healthz', (res) => res.json({ status: 'alive' })],
    [
      '/readyz',
      async (res) => {
        const state = await readiness.state();
        const isReady = state.missing.length === 0;
        res.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'not ready', ...state });
      },
    ],
    [
      '/metrics',
      async (res) => {
        const { registry, exemplars } = metrics;
        if (exemplars && readsOpenMetrics(res.req.headers.accept))
          return res.type(exemplars.contentType).send(await exemplars.openMetrics(registry));
        return res.type(registry.contentType).send(await rendered());
      },
    ],
  ]);

  return function wellKnownMiddleware(req, res, next) {
    const answer = isRead(req) ? answers.get(pathOf(req.url)) : undefined;
    if (!answer || exchangeOf(res).refusal) return next();
    res.setHeader('Cache-Control', 'no-store');
    return answer(res) as Promise<void>;
  };
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD';
}
