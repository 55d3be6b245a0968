import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { isOwnOrigin } from '../crosssite/refusal.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { takeCookies } from '../http/cookies.ts';
import { writerOf } from '../response/responseWriter.ts';
import { stackless } from '../util/stackless.ts';
import { Cors, type CorsRules } from './cors.ts';
import { OriginNotAllowedError } from './errors.ts';
import { askedMethod } from './preflight.ts';

export interface CorsOptions extends CorsRules {
  /** By which host the client has asked. Default: `Host`. */
  readonly hostOf?: (req: Request) => string | undefined;
  /** Whether this preflight is for what these rules are about; any other passes as an ordinary request. Default: all are. */
  readonly isForPreflight?: (req: Request, res: Response) => boolean;
  /** Cookies that say nothing of the user, such as those that name a replica. Default: none. */
  readonly harmlessCookies?: readonly string[];
}

/**
 * Lets pages of other origins read responses, as `CorsRules` say. Put it in front of whatever refuses: preflights, which
 * come without credentials, are answered here, and refusals can be read.
 *
 * Browsers open WebSockets to any origin, with cookies, and ask nobody. So a handshake that has `Cookie`, or an
 * `Authorization` that a browser may have added by itself, is refused with `OriginNotAllowedError` unless its `Origin` is
 * allowed by name or is the gateway's own (cross-site WebSocket hijacking). A handshake without such a field can do no more
 * than any program can.
 */
export function cors(options: Readonly<CorsOptions>): RequestHandler {
  const { isForPreflight = () => true, hostOf = ({ headers }) => headers.host, ...others } = options;
  const { harmlessCookies = [], ...rules } = others;
  const corsFields = new Cors(rules);

  return function corsMiddleware(req, res, next) {
    const writer = writerOf(res);
    if (askedMethod(req) !== undefined && isForPreflight(req, res)) {
      const exchange = exchangeOf(res);
      exchange.origin = 'gateway';
      writer.whole(204, corsFields.preflightFields(req, exchange.preflightMethods));
      return;
    }
    writer.edit(corsFields);
    const isHandshake = exchangeOf(res).upgradeHead !== undefined;
    if (
      isHandshake &&
      hasAmbientCredentials(req.headers, harmlessCookies) &&
      !mayOpen(corsFields, req, hostOf)
    ) {
      return next(stackless(() => new OriginNotAllowedError('the Origin of a WebSocket with cookies')));
    }
    next();
  };
}

function mayOpen(corsFields: Cors, req: Request, hostOf: NonNullable<CorsOptions['hostOf']>): boolean {
  const { origin } = req.headers;
  if (origin === undefined) return true;
  return corsFields.names(origin) || isOwnOrigin(origin, hostOf(req));
}

/** Whether there are credentials that a browser adds by itself, whatever page it acts for. */
function hasAmbientCredentials(
  { cookie, authorization }: IncomingMessage['headers'],
  harmlessCookies: readonly string[],
): boolean {
  if (cookie !== undefined && hasOthers(cookie, harmlessCookies)) return true;
  return authorization !== undefined && !/^bearer /i.test(authorization);
}

function hasOthers(cookie: string, names: readonly string[]): boolean {
  return names.reduce((left, name) => takeCookies(left, name)?.rest ?? left, cookie) !== '';
}
