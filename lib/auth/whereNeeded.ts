import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';

export interface AuthWhereNeededOptions {
  /** What lets nobody through without a token: see `auth`. */
  readonly required: RequestHandler;
  /** `optional`: who brings a token, or something in its place, must bring a good one. `none`: nobody is asked. */
  readonly need: 'optional' | 'none';
  /** Whether the request must pass `required` whatever the need: a logout, or what hands a token out. */
  readonly isNeeded: (req: Request, res: Response) => boolean;
}

/**
 * Lets requests through that need no token, as nobody's: `exchange.identity` stays undefined, also with `none` and a good
 * token. Whom it concerns, and whose token must be revoked, is for `required` to say.
 */
export function authWhereNeeded({
  required,
  need,
  isNeeded,
}: Readonly<AuthWhereNeededOptions>): RequestHandler {
  return function authWhereNeededMiddleware(req, res, next) {
    const asks = isNeeded(req, res) || (need === 'optional' && bringsToken(req, exchangeOf(res)));
    return asks ? required(req, res, next) : next();
  };
}

function bringsToken({ headers }: IncomingMessage, { queryTokens }: Exchange): boolean {
  return headers.authorization !== undefined || queryTokens !== undefined;
}
