import { callerOf } from '../../lib/exchange/caller.ts';
import { split as splitMiddleware } from '../../lib/split/middleware.ts';
import type { Stage } from './stage.ts';

/** Chooses the service among several, and runs the stages of that service. */
export const split: Stage = ({ parts: { trustsPeer }, service: { sides, settings } }) => {
  if (!sides) return undefined;
  // All routes that inherit from one service divide alike, so that a user meets one version of it everywhere.
  return splitMiddleware({ salt: settings.path, sides, callerOf: callerOf(trustsPeer) });
};
