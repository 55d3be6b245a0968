import express, { type Express, type RequestHandler } from 'express';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { observe } from '../../lib/metrics/middleware.ts';
import { writerOf } from '../../lib/response/responseWriter.ts';
import { compose } from '../compose.ts';
import { errorReplies } from '../errors/errorReplies.ts';
import { BadTargetError, NoSuchServiceError, UriTooLongError } from '../errors/requestErrors.ts';
import { MAX_TARGET_LENGTH } from '../http/target.ts';
import { accessLog, errorLog } from '../logs/accessLog.ts';
import type { Parts } from '../wiring/parts.ts';
import { httpsLocation } from './httpsLocation.ts';

/** Keeps method and content (RFC 9110 section 15.4.9): a 301 would make a GET of a POST. */
const STATUS = 308;

/**
 * The port for plain HTTP beside an external port that speaks TLS: every request is sent there, whatever its method and path,
 * and nothing is forwarded or looked up.
 *
 * @param httpsPort the port that clients know, once the gateway listens
 */
export function redirectApp(parts: Parts, httpsPort: () => number): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  const { clock } = parts;
  app.use(compose([observe({ ...accessLog({ port: 'http', ...parts }), clock }), toHttps(httpsPort)]));
  app.use(errorReplies(errorLog({ port: 'http', ...parts })));
  return app;
}

function toHttps(httpsPort: () => number): RequestHandler {
  return function redirectMiddleware(req, res, next) {
    const { host } = req.headers;
    const target = req.originalUrl;
    const exchange = exchangeOf(res);
    if (exchange.refusal instanceof NoSuchServiceError) {
      return next(new BadTargetError('the target and Host name different hosts'));
    }
    if (exchange.refusal) return next(exchange.refusal);
    if (host === undefined) return next(new BadTargetError('no Host that could be redirected to'));
    if (target === '*') return next(new BadTargetError('* is no path that could be redirected to'));
    if (target.length > MAX_TARGET_LENGTH) return next(new UriTooLongError(`${target.length} characters`));
    exchange.origin = 'gateway';
    writerOf(res).whole(
      STATUS,
      [
        ...['Location', httpsLocation(host, target, httpsPort())],
        // Browsers would keep a permanent redirect for ever. What they should remember, HSTS tells them.
        ...['Cache-Control', 'no-store'],
        ...['Content-Length', '0'],
      ],
      '',
    );
  };
}
