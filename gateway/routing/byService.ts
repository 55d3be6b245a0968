import type { RequestHandler } from 'express';
import { askedMethod } from '../../lib/cors/preflight.ts';
import { NoSuchServiceError } from '../errors/requestErrors.ts';
import { isAmbiguous, parseTarget } from '../http/target.ts';
import { ambiguous, type Find } from './find.ts';

/** A service that is found by the first segment of the path. */
export interface ServiceEntry {
  /** `/budgeting`. */
  readonly path: string;
  /** What is cut off the path that it gets. */
  readonly prefix: string;
  readonly stripPrefix: boolean;
  /** What handles all of its requests; undefined: `byRoute` says what does. */
  readonly chain: RequestHandler | undefined;
  readonly byRoute: Find | undefined;
  /** Whether `chain` answers preflights. */
  readonly hasCors: boolean;
}

/**
 * Finds a service in one look-up, however many there are.
 *
 * @param entries by the segment: `budgeting`
 * @param mount the path prefix before it: '' or `/internal`
 */
export function findByService(entries: ReadonlyMap<string, ServiceEntry>, mount: string): Find {
  return (req, target, exchange) => {
    const parsed = parseTarget(target, mount);
    const entry = parsed && entries.get(parsed.segment);
    if (!entry) return new NoSuchServiceError(mount);
    if (entry.byRoute) return entry.byRoute(req, target, exchange);
    if (isAmbiguous(target)) return ambiguous();
    exchange.preflight = entry.hasCors && askedMethod(req) !== undefined;
    exchange.service = entry.path;
    exchange.prefix = entry.prefix;
    exchange.upstreamTarget = entry.stripPrefix ? parsed.rest : target.slice(mount.length);
    return entry.chain as RequestHandler;
  };
}
