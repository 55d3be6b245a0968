import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { codedTags, compression as compressionMiddleware } from '../../../lib/compression/middleware.ts';
import { callerOf } from '../../../lib/exchange/caller.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

/** Compresses responses for clients that accept it. */
export const compression: Stage = ({ parts, service: { settings } }) =>
  compressionHandler(parts, settings, settings.path) ??
  (isCompressedElsewhere(settings.path, parts) ? codedTags() : undefined);

/** The same handler for a response that no service is asked for; undefined where `compress` is off. */
export function compressionHandler(
  { coding, metrics, trustsPeer }: Parts,
  { compress: rules }: PolicySettings,
  service = 'none',
): RequestHandler | undefined {
  if (rules === undefined) return undefined;
  return compressionMiddleware({
    ...rules,
    limit: coding.limit,
    copies: coding.copies,
    callerOf: callerOf(trustsPeer),
    onCoded: (name, bytesIn, bytesOut) => {
      metrics.compressedFrom.countMany(bytesIn, service, name);
      metrics.compressedTo.countMany(bytesOut, service, name);
    },
    onUncoded: (cause) => metrics.uncoded.count(service, cause),
    onFailed: (error) => {
      metrics.codingFailures.count(service);
      coding.logFailure(error);
    },
  });
}

/** Whether clients may have tags of coded responses of this service from another of its routes. */
function isCompressedElsewhere(path: string, { settings: { services, routes } }: Parts): boolean {
  const own = services.find((service) => service.path === path);
  const all = [...(own?.routes ?? []), ...routes];
  const isOne = all.some(
    ({ action, sides, settings }) =>
      action.kind === 'forward' &&
      (action.service === path || sides?.some((side) => side.service === path)) &&
      settings.compress !== undefined,
  );
  return isOne || own?.compress !== undefined;
}
