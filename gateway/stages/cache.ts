import { cache as cacheMiddleware } from '../../lib/cache/middleware.ts';
import { outcomeOf } from '../../lib/cache/rules/status.ts';
import { requestEditOf } from './forwarding/requestEdit.ts';
import type { Stage } from './stage.ts';

/** Responds with a stored response, or stores what the stages after it respond with. */
export const cache: Stage = ({ parts: { settings, gatheringRoom, metrics }, service, rest }) => {
  const { path, stripPrefix, basePath, cacheTtlMs, cacheShared } = service.settings;
  return cacheMiddleware({
    service: service.cache,
    origin: rest,
    prefix: stripPrefix ? path : '',
    basePath,
    defaultTtlMs: cacheTtlMs,
    maxBodyBytes: settings.cacheMaxEntryBytes,
    room: gatheringRoom,
    sharing: cacheShared,
    requestEdit: requestEditOf(service),
    onVerdict: (verdict) => {
      const outcome = outcomeOf(verdict);
      if (outcome === 'hit') metrics.cacheHits.count(path);
      else if (outcome === 'miss') metrics.cacheMisses.count(path);
    },
    onDeclined: () => metrics.cacheDeclined.count(path),
  });
};
