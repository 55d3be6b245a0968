import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { codedTags, compression as compressionMiddleware } from '../../../lib/compression/middleware.ts';
import { callerOf } from '../../../lib/exchange/caller.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

/** Compresses responses for clients that accept it. */
export const compression: Stage = ({ parts, service: { settings } }) =>
  compressionHandler(parts, settings, settings.path) ??
  // Clients may have tags of coded responses from another of its routes.
  (parts.facts.compressed.has(settings.path) ? codedTags() : undefined);

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
