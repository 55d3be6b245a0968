import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { FieldEdit } from '../headers/fieldEdit.ts';
import { listener } from '../util/listener.ts';
import { CacheRequest } from './fetch/cacheRequest.ts';
import { ResponseCache } from './fetch/responseCache.ts';
import { invalidateAfter } from './invalidation.ts';
import { handlingOf } from './rules/requestTerms.ts';
import type { Verdict } from './rules/status.ts';
import { ServiceCache, type ServiceCacheOptions } from './serviceCache.ts';
import { Audiences } from './stored/audiences.ts';
import { GatheringRoom } from './stored/gatheringRoom.ts';
import { Speller } from './stored/key.ts';

/** `service`: what this cache has in common with others in front of the same service. Else it has that for itself. */
export type CacheOptions = RouteCacheOptions & (ServiceCacheOptions | { readonly service: ServiceCache });

export interface RouteCacheOptions {
  /**
   * What responds when the cache cannot: the rest of the chain, as one handler. It must write to the `response` of
   * `exchangeOf(res)`, and may ask `res` itself for nothing but `req`: a fetch that others may wait for does not end with
   * the client, and has no response of Node's.
   */
  readonly origin: RequestHandler;
  /** How long a 200 that says nothing of its own is fresh; 0: it is not stored; `off` turns the cache off. */
  readonly defaultTtlMs: number | 'off';
  /** A larger body is passed on but not stored. */
  readonly maxBodyBytes: number;
  /** Memory for responses on their way into the store, which several caches may share. Default: no limit. */
  readonly room?: GatheringRoom;
  /** Whether responses that allow it (`public`, `s-maxage`) are shared among callers. Default true. */
  readonly sharing?: boolean;
  /**
   * The part of clients' paths that the service does not get: `/budgeting`. With it, what different routes ask of the service is
   * told apart or known as the same by the service's own target. Default: none.
   */
  readonly prefix?: string;
  /** What goes before every path that the service is asked for, so that it may name its paths with it: `/shop`. Default: none. */
  readonly basePath?: string;
  /** How the service gets the request's fields, which is what `Vary` is about. Default: as they came. */
  readonly requestEdit?: FieldEdit | undefined;
  readonly onVerdict?: (verdict: Verdict) => void;
  /** The store is full and declined a response, or there was no room for one on its way there. */
  readonly onDeclined?: () => void;
}

/**
 * A shared cache (RFC 9111) whose every entry belongs to one caller (`exchange.identity`), unless the response itself
 * says that it may be shared: put it behind authentication. A request with `Cookie` or `Authorization` and without an
 * identity is given, and leaves behind, only what may be shared. Without its store the cache passes everything on.
 */
export function cache(options: Readonly<CacheOptions>): RequestHandler {
  const { origin, maxBodyBytes, sharing = true, defaultTtlMs, prefix = '', basePath = '' } = options;
  const { room = new GatheringRoom() } = options;
  const onVerdict = listener(options.onVerdict);
  const onDeclined = listener(options.onDeclined);
  const isOff = defaultTtlMs === 'off';
  const service = 'service' in options ? options.service : new ServiceCache(options);
  if (!isOff) service.use();
  const responses = new ResponseCache({
    ...{ service, origin, maxBodyBytes, room, onDeclined },
    defaultTtlMs: isOff ? 0 : defaultTtlMs,
  });
  const requestOptions = {
    audiences: new Audiences(sharing),
    speller: new Speller(),
    prefix,
    edit: options.requestEdit,
    onVerdict,
  };

  return function cacheMiddleware(req: Request, res: Response, next) {
    const request = new CacheRequest(req, res, next, requestOptions);
    const isForNobody = request.lookup.audiences.length === 0;
    const handling = handlingOf(req, isForNobody);
    if (handling === 'lookup' && !isOff) {
      responses.respond(request);
      return;
    }
    const isOfMethod = !isOff && handling !== 'bypass';
    request.setCacheStatus({ kind: 'forward', reason: isOfMethod ? 'method' : 'bypass' });
    if (handling === 'unsafe' && service.isUsed) {
      const { service: name } = exchangeOf(res);
      invalidateAfter(req, res, { prefix, basePath }, (path) => service.invalidate(name, path));
    }
    origin(req, res, next);
  };
}
