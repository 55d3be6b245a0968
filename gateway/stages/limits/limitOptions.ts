import { callerOf } from '../../../lib/exchange/caller.ts';
import type { Parts, ServiceParts } from '../../wiring/parts.ts';

/** Options that all concurrency limits have in common. */
export function limitOptions({ trustsPeer, metrics, clock }: Parts, { settings: { path } }: ServiceParts) {
  return { callerOf: callerOf(trustsPeer), onLimitReached: () => metrics.limitReached.count(path), clock };
}
