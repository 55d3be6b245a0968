import { mirror as mirrorMiddleware } from '../../../lib/mirror/middleware.ts';
import { requestFieldsFor } from '../../../lib/proxy/request/requestFields.ts';
import { MAX_MIRRORED_RESPONSE_BYTES } from '../../wiring/limits.ts';
import type { Stage } from '../stage.ts';
import { requestFieldTerms } from './proxy.ts';

/** Sends copies of requests to another service as well. */
export const mirror: Stage = (context) => {
  const { parts, service } = context;
  const { path, mirror: terms } = service.settings;
  const target = parts.services.find(({ settings }) => settings.name === terms?.service);
  // Of a route that is split, the side that gets copies of the others needs none of its own.
  if (!terms || !target || terms.percent === 0 || target.settings.path === path) return undefined;
  const { name, path: to, host, basePath, requestTimeoutMs } = target.settings;
  const { metrics, onMirrorTrouble, random, clock } = parts;
  const { percent, methods, maxBodyBytes, timeoutMs = requestTimeoutMs } = terms;
  return mirrorMiddleware({
    ...{
      pool: target.replicas.pool,
      transport: target.transport,
      basePath,
      percent,
      maxBodyBytes,
      timeoutMs,
    },
    fields: requestFieldsFor({ ...requestFieldTerms(context), host, isCopy: true }),
    methods: methods && new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods),
    maxResponseBytes: MAX_MIRRORED_RESPONSE_BYTES,
    room: target.mirrorRoom,
    onResult: (result, error) => {
      metrics.mirrored.count(path, to, result);
      onMirrorTrouble(name, result, error);
    },
    ...{ random, clock },
  });
};
