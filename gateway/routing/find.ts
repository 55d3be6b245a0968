import type { Request, RequestHandler } from 'express';
import type { Exchange } from '../../lib/exchange/exchange.ts';
import { BadTargetError } from '../errors/requestErrors.ts';

/**
 * Says what handles a request, or why nothing does, and writes into its exchange where it goes.
 *
 * @param target in origin-form, not longer than `MAX_TARGET_LENGTH`
 */
export type Find = (req: Request, target: string, exchange: Exchange) => RequestHandler | Error;

/** Refuses a target whose readers might not agree on what it means. */
export function ambiguous(): BadTargetError {
  return new BadTargetError('the path can be read in more than one way');
}
