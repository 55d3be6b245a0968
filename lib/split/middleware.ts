import type { RequestHandler } from 'express';
import type { CallerOf } from '../exchange/caller.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { Sides } from './sides.ts';

/** One of the services among which requests are divided. */
export interface Side {
  /** Path of the service: `/checkin-v2`. */
  readonly service: string;
  /** From 0; only how it compares to the others counts. */
  readonly weight: number;
  /** Everything that the service's requests pass from here on. */
  readonly handler: RequestHandler;
}

export interface SplitOptions {
  /** See `Sides`. */
  readonly salt: string;
  /** One or more, in the order of their ranges. */
  readonly sides: readonly Side[];
  /** Who a request is from: requests of one caller go to one side. */
  readonly callerOf: CallerOf;
}

/**
 * Sends each request on to one of several services, always to the same for one caller. Put it behind authentication, which says
 * who the caller is, and in front of all that belongs to one service. A side whose service fails is not replaced by another: its
 * callers would be moved to and fro, and nobody would see that it fails.
 */
export function split({ salt, sides, callerOf }: Readonly<SplitOptions>): RequestHandler {
  const divided = new Sides(
    salt,
    sides.map(({ weight }) => weight),
  );
  return function splitMiddleware(req, res, next) {
    const side = sides[divided.sideAt(divided.pointOf(callerOf(req, res)))] as Side;
    exchangeOf(res).service = side.service;
    return side.handler(req, res, next);
  };
}
