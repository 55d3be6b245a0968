import type { Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import type { ResponseStore } from '../store/store.ts';
import { listener } from '../util/listener.ts';
import { CacheRequest } from './fetch/cacheRequest.ts';
import { ResponseCache } from './fetch/responseCache.ts';
import { invalidateAfter } from './invalidation.ts';
import { handlingOf } from './rules/requestTerms.ts';
import type { Verdict } from './rules/status.ts';
import { Audiences } from './stored/audiences.ts';
import { GatheringRoom } from './stored/gatheringRoom.ts';
import { Speller } from './stored/key.ts';

export interface CacheOptions {
  readonly store: ResponseStore;
  /**
   * What responds when the cache cannot: the rest of the chain, as one handler. It must write to the `response` of
   * `exchangeOf(res)`, and may ask `res` itself for nothing but `req`: a fetch that others may wait for does not end with
   * the client, and has no response of Node's.
   */
  readonly origin: RequestHandler;
  /** How long a 200 that says nothing of its own is fresh; 0: not at all; `off` turns the cache off. */
  readonly defaultTtlMs: number | 'off';
  /** A larger body is passed on but not stored. */
  readonly maxBodyBytes: number;
  /** Memory for responses on their way into the store, which several caches may share. Default: no limit. */
  readonly room?: GatheringRoom;
  /** Whether responses that allow it (`public`, `s-maxage`) are shared among callers. Default true. */
  readonly sharing?: boolean;
  /** How long past its lifetime a response may be served instead of an error. Default 0. */
  readonly staleIfErrorMs?: number;
  readonly onVerdict?: (verdict: Verdict) => void;
  /** The store failed: the request went to the service, or its response was not stored. */
  readonly onError?: (error: Error) => void;
  /** The store is full and declined a response, or there was no room for one on its way there. */
  readonly onDeclined?: () => void;
  readonly clock?: Clock;
}

/**
 * A shared cache (RFC 9111) whose every entry belongs to one caller (`exchange.identity`), unless the response itself
 * says that it may be shared: put it behind authentication. A request with `Cookie` or `Authorization` and without an
 * identity is given, and leaves behind, only what may be shared. Without its store the cache passes everything on.
 */
export function cache(options: Readonly<CacheOptions>): RequestHandler {
  const { origin, sharing = true, defaultTtlMs, clock = systemClock } = options;
  const onVerdict = listener(options.onVerdict);
  const onError = listener(options.onError);
  const onDeclined = listener(options.onDeclined);
  const isOff = defaultTtlMs === 'off';
  const responses = new ResponseCache({
    staleIfErrorMs: 0,
    ...options,
    room: options.room ?? new GatheringRoom(),
    defaultTtlMs: isOff ? 0 : defaultTtlMs,
    onError,
    onDeclined,
    clock,
  });
  const requestOptions = { audiences: new Audiences(sharing), speller: new Speller(), onVerdict };

  return function cacheMiddleware(req: Request, res: Response, next) {
    const request = new CacheRequest(req, res, next, requestOptions);
    const isForNobody = request.lookup.audiences.length === 0;
    const handling = isOff ? 'bypass' : handlingOf(req, isForNobody);
    if (handling === 'lookup') {
      responses.respond(request);
      return;
    }
    request.setCacheStatus({ kind: 'forward', reason: handling === 'bypass' ? 'bypass' : 'method' });
    if (handling === 'unsafe') {
      const { service } = exchangeOf(res);
      invalidateAfter(req, res, (path) => responses.invalidate(service, path));
    }
    origin(req, res, next);
  };
}
