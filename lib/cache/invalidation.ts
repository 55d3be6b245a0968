import type { Request, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { pathOf } from '../http/path.ts';
import { writerOf } from '../response/responseWriter.ts';

/**
 * Calls `invalidate` with every path that an unsafe request has changed, as soon as its response begins: its own,
 * and those that `Location` and `Content-Location` name on this host (RFC 9111 section 4.4). After an error of the
 * service nothing is invalidated. If the service got the request and no response came, its own path is: the request may
 * have been carried out.
 */
export function invalidateAfter(req: Request, res: Response, invalidate: (path: string) => void): void {
  const exchange = exchangeOf(res);
  const own = pathOf(req.originalUrl);
  writerOf(res).observeHead({
    head(status, fields) {
      const gotNoResponse = exchange.origin === 'gateway' && exchange.attempt?.sent;
      if (gotNoResponse) invalidate(own);
      if (status < 200 || status >= 400) return;
      const paths = new Set([own]);
      for (const name of ['location', 'content-location']) {
        for (const path of pathsOf(fieldValue(fields, name), req)) paths.add(path);
      }
      for (const path of paths) invalidate(path);
    },
  });
  res.once('close', () => {
    if (!res.headersSent && exchange.attempt?.sent) invalidate(own);
  });
}

/** A service may name a path with or without the prefix that clients put in front: both are invalidated. */
function* pathsOf(reference: string | undefined, req: Request): Generator<string> {
  if (reference === undefined) return;
  const base = `http://${req.headers.host ?? 'none'}`;
  const url = URL.parse(reference, base + req.originalUrl);
  if (!url || url.host !== URL.parse(base)?.host) return;
  yield url.pathname;
  const prefix = /^\/[^/?]*/.exec(req.originalUrl)?.[0] ?? '';
  if (!url.pathname.startsWith(`${prefix}/`)) yield prefix + url.pathname;
}
