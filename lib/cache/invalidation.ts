import type { Request, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { pathOf } from '../http/path.ts';
import { writerOf } from '../response/responseWriter.ts';
import { serviceTarget } from './serviceTarget.ts';

/** How the paths of a service are called. */
export interface ServicePaths {
  /** The part of clients' paths that it does not get. */
  readonly prefix: string;
  /** What goes before every path that it is asked for. */
  readonly basePath: string;
}

/**
 * Calls `invalidate` with every path of the service, behind its prefix, that an unsafe request has changed, as soon as its response begins: its own,
 * and those that `Location` and `Content-Location` name on this host (RFC 9111 section 4.4). After an error of the
 * service nothing is invalidated. If the service got the request and no response came, its own path is: the request may
 * have been carried out.
 */
export function invalidateAfter(
  req: Request,
  res: Response,
  paths: ServicePaths,
  invalidate: (path: string) => void,
): void {
  const exchange = exchangeOf(res);
  const target = serviceTarget(req, exchange, paths.prefix);
  const own = pathOf(target);
  writerOf(res).observeHead({
    head(status, fields) {
      const gotNoResponse = exchange.origin === 'gateway' && exchange.attempt?.sent;
      if (gotNoResponse) invalidate(own);
      if (status < 200 || status >= 400) return;
      const changed = new Set([own]);
      for (const name of ['location', 'content-location']) {
        for (const path of pathsOf(fieldValue(fields, name), req, target, paths)) changed.add(path);
      }
      for (const path of changed) invalidate(path);
    },
  });
  res.once('close', () => {
    if (!res.headersSent && exchange.attempt?.sent) invalidate(own);
  });
}

/**
 * A service may name a path as clients call it, or as it gets it itself: with or without its prefix or base path, and where a route has
 * rewritten the target, with either beginning. All of these are invalidated.
 */
function* pathsOf(
  reference: string | undefined,
  req: Request,
  target: string,
  { prefix, basePath }: ServicePaths,
): Generator<string> {
  if (reference === undefined) return;
  const base = `http://${req.headers.host ?? 'none'}`;
  const url = URL.parse(reference, base + target);
  if (!url || url.host !== URL.parse(base)?.host) return;
  const { pathname } = url;
  yield pathname;
  yield prefix + pathname;
  if (basePath !== '' && pathname.startsWith(basePath)) yield prefix + pathname.slice(basePath.length);
  const [clients, services] = beginningsOf(pathOf(req.originalUrl), pathOf(target));
  if (clients !== services && pathname.startsWith(clients)) yield services + pathname.slice(clients.length);
}

/** Two paths without the segments at their ends that are the same. */
function beginningsOf(one: string, other: string): [string, string] {
  let same = 0;
  for (let i = 1; i <= Math.min(one.length, other.length); i += 1) {
    if (one.at(-i) !== other.at(-i)) break;
    if (one.at(-i) === '/') same = i;
  }
  return [one.slice(0, one.length - same), other.slice(0, other.length - same)];
}
