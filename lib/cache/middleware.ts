import type { Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { tapAnswer } from '../exchange/tap.ts';
import type { Store } from '../store/store.ts';
import { type CacheEntry, decodeEntry, encodeEntry } from './entry.ts';
import { cacheKey } from './key.ts';
import { requestDirectives } from './policy.ts';
import { Recorder } from './recorder.ts';

/** Why a request went to the service, as RFC 9211 names it, or that it did not. */
export type CacheVerdict = 'hit' | 'uri-miss' | 'vary-miss' | 'request' | 'bypass';

export interface CacheOptions {
  readonly store: Store;
  /** How long a 200 that says nothing of its own may be used; 0 turns the cache off. */
  readonly defaultTtlMs: number;
  /** A larger body is passed on but not stored. */
  readonly maxEntryBytes: number;
  readonly onVerdict?: (verdict: CacheVerdict) => void;
  /** The store failed: the request went to the service, or its answer was not stored. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * Answers GETs from the store while a stored 200 is fresh, and stores what may be stored as it streams past.
 *
 * Each caller has entries of its own (`exchange.identity`): put the middleware behind authentication. It is not a
 * full RFC 9111 cache: it does not revalidate, and answers nothing but whole GETs.
 */
export function cache(options: Readonly<CacheOptions>): RequestHandler {
  const { store, defaultTtlMs, maxEntryBytes, clock = systemClock } = options;
  const onVerdict = listener(options.onVerdict);
  const onError = listener(options.onError);
  const now = () => clock.now();

  async function lookUp(key: string): Promise<CacheEntry | undefined> {
    try {
      const stored = await store.get(key);
      return stored && decodeEntry(stored);
    } catch (error) {
      onError(error as Error);
      return undefined;
    }
  }

  function keep(key: string, entry: CacheEntry): void {
    const ttlMs = Math.ceil(entry.freshUntilMs - now());
    if (ttlMs >= 1) store.set(key, encodeEntry(entry), ttlMs).catch(onError);
  }

  function record(req: Request, res: Response, key: string): void {
    const onEntry = (entry: CacheEntry) => keep(key, entry);
    tapAnswer(res, new Recorder({ request: req.headers, defaultTtlMs, maxEntryBytes, now, onEntry }));
  }

  function pronounce(res: Response, verdict: CacheVerdict): void {
    const exchange = exchangeOf(res);
    exchange.cacheVerdict = verdict === 'hit' || verdict === 'bypass' ? verdict : 'miss';
    onVerdict(verdict);
    res.setHeader('X-Cache', exchange.cacheVerdict.toUpperCase());
    if (verdict !== 'hit') res.setHeader('Cache-Status', `gateway; fwd=${verdict}`);
  }

  async function answer(req: Request, res: Response): Promise<boolean> {
    const { service, identity } = exchangeOf(res);
    const { mayUse, mayStore } = requestDirectives(req.headers, identity !== undefined);
    const key = cacheKey({ service, identity: identity?.subject, target: req.originalUrl });
    const entry = mayUse ? await lookUp(key) : undefined;
    const verdict = judge(entry, req, { mayUse, mayStore, nowMs: now() });
    pronounce(res, verdict);
    if (verdict === 'hit' && entry) serve(res, entry, now());
    else if (mayStore) record(req, res, key);
    return verdict === 'hit';
  }

  return function cacheMiddleware(req, res, next) {
    if (req.method !== 'GET' || defaultTtlMs === 0) return next();
    const nextIfDue = nextWhileDue(res, next);
    answer(req, res).then((answered) => {
      if (!answered) nextIfDue();
    }, nextIfDue);
  };
}

interface Judged {
  readonly mayUse: boolean;
  readonly mayStore: boolean;
  readonly nowMs: number;
}

function judge(
  entry: CacheEntry | undefined,
  req: Request,
  { mayUse, mayStore, nowMs }: Judged,
): CacheVerdict {
  if (!mayStore) return 'bypass';
  if (!mayUse) return 'request';
  if (!entry || entry.freshUntilMs <= nowMs) return 'uri-miss';
  for (const [name, value] of Object.entries(entry.varying)) {
    if (String(req.headers[name] ?? '') !== value) return 'vary-miss';
  }
  return 'hit';
}

function serve(res: Response, { fields, madeAtMs, freshUntilMs, body }: CacheEntry, nowMs: number): void {
  const ageSeconds = Math.max(0, Math.floor((nowMs - madeAtMs) / 1000));
  const ttlSeconds = Math.floor((freshUntilMs - nowMs) / 1000);
  res.setHeader('Cache-Status', `gateway; hit; ttl=${ttlSeconds}`);
  res.writeHead(200, [...fields, 'Age', String(ageSeconds)]);
  res.end(body);
}
