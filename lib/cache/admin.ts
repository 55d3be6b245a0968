import { type Request, type Response, Router } from 'express';
import { jsonIn, refuse, textContent } from '../admin/content.ts';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { ResponseStore } from '../store/store.ts';
import { Purges, type PurgeTarget } from './stored/purge.ts';

const MAX_BODY_BYTES = 64 * 1024;
const PATH = 'expected a path as clients call it, such as /budgeting/api/x';
/** Such a purge would pass for done. */
const NO_SERVICE =
  'no service has this path: expected the path of one, such as /budgeting, and behind it what the service gets';
const KINDS = ['url', 'prefix', 'service', 'tag'];

export interface CacheAdminOptions {
  readonly store: ResponseStore;
  /** The service that this name or path stands for, or what is wrong with it. Default: a path stands for itself. */
  readonly serviceOf?: ServiceOf;
  /** Whether anything can be stored under a path (`url`), or under paths that begin so (`prefix`). Default: always. */
  readonly mayBeStored?: MayBeStored;
  readonly clock?: Clock;
}

export type ServiceOf = (named: string) => { readonly path: string } | string;

export type MayBeStored = (kind: 'url' | 'prefix', path: string) => boolean;

/**
 * `POST /purge` with one of `{"url"}`, `{"prefix"}`, `{"service"}` or `{"tag"}` as JSON: 204 once it is in the store.
 * It asks nobody who they are: put a guard in front of it.
 */
export function cacheAdmin({
  store,
  serviceOf = pathAlone,
  mayBeStored = () => true,
  clock = systemClock,
}: Readonly<CacheAdminOptions>): Router {
  const purges = new Purges({ store, now: () => clock.now() });
  const router = Router();
  router.post('/purge', textContent(MAX_BODY_BYTES), async (req: Request, res: Response) => {
    const target = targetOf(req.body, serviceOf, mayBeStored);
    if (typeof target === 'string') {
      refuse(res, target);
      return;
    }
    // A store that does not answer is for the app's error handler: a purge must not look done.
    await purges.purge(target);
    res.status(204).end();
  });
  return router;
}

/** What is to be purged, or what is wrong with the request. */
function targetOf(body: unknown, serviceOf: ServiceOf, mayBeStored: MayBeStored): PurgeTarget | string {
  const expected = `expected a JSON object with one of ${KINDS.join(', ')}`;
  const json = typeof body === 'string' ? jsonIn(body) : undefined;
  if (typeof json !== 'object' || json === null) return expected;
  const [[kind, value] = [], ...more] = Object.entries(json);
  if (kind === undefined || !KINDS.includes(kind) || more.length > 0) return expected;
  if (typeof value !== 'string' || value === '') return `${kind}: expected a text`;
  if (kind === 'tag') return { tag: value };
  if (kind === 'service') {
    // One that matches nothing would pass for done.
    const service = serviceOf(value);
    return typeof service === 'string' ? `service: ${service}` : { service: service.path };
  }
  return pathTarget(kind as 'url' | 'prefix', value, mayBeStored);
}

function pathTarget(kind: 'url' | 'prefix', value: string, mayBeStored: MayBeStored): PurgeTarget | string {
  const path = kind === 'url' ? originForm(value) : value;
  if (!path?.startsWith('/')) return `${kind}: ${PATH}`;
  if (!mayBeStored(kind, path)) return `${kind}: ${NO_SERVICE}`;
  return kind === 'url' ? { url: path } : { prefix: path };
}

function pathAlone(named: string): { readonly path: string } | string {
  return /^\/[^/?]+$/.test(named) ? { path: named } : 'expected its path, such as /budgeting';
}

/** Path and query of a URL with or without an origin. */
function originForm(url: string): string | undefined {
  if (url.startsWith('/')) return url;
  const { pathname, search } = URL.parse(url) ?? {};
  return pathname && pathname + search;
}
