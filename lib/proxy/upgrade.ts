import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Request, Response } from 'express';
import type { Plugin, RequestHandler } from 'http-proxy-middleware';
import { ConcurrencyLimitError } from '../concurrency/errors.ts';
import type { Limiter, Release } from '../concurrency/limiter.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { fieldsByName } from '../exchange/fields.ts';
import { UpstreamUnreachableError } from './errors.ts';
import { type RequestFieldsOptions, requestFields } from './requestFields.ts';

/** Hands a request to upgrade its connection to http-proxy-middleware, with the fields a service may see. */
export function upgrade(
  proxy: RequestHandler<Request, Response>,
  req: Request,
  options: RequestFieldsOptions,
  upgrades: Limiter | undefined,
): void {
  const res = req.res as Response;
  const exchange = exchangeOf(res);
  const release = upgrades ? upgrades.tryAcquire() : () => {};
  if (!release) {
    exchange.attempt?.end({ kind: 'abandoned' });
    exchange.attempt?.unanswered(new ConcurrencyLimitError('gateway', upgrades?.limit ?? 0));
    return;
  }
  releaseWith(req.socket, release);
  req.headers = {
    ...fieldsByName(requestFields(req, exchange, options)),
    connection: 'Upgrade',
    upgrade: req.headers.upgrade,
  };
  proxy.upgrade(req, req.socket, exchange.upgradeHead ?? Buffer.alloc(0));
}

/** Reports what becomes of an upgrade to its attempt: http-proxy-middleware itself tells only its events. */
export const reportUpgrades: Plugin<Request, Response> = (proxyServer) => {
  proxyServer.on('proxyReqWs', (proxyReq: ClientRequest, req: IncomingMessage) => {
    const request = req as Request;
    const exchange = exchangeOf(request.res as Response);
    const onAbort = () => proxyReq.destroy(exchange.signal.reason as Error);
    exchange.signal.addEventListener('abort', onAbort, { once: true });
    proxyReq.once('upgrade', (_answer, upstream: Socket) => {
      exchange.signal.removeEventListener('abort', onAbort);
      leaveHttp(request, upstream);
    });
    proxyReq.once('response', (answer) => exchange.attempt?.answered(answer.statusCode ?? 502));
  });
  proxyServer.on('error', (error, req) => {
    const attempt = req && exchangeOf(req.res as Response).attempt;
    attempt?.end({ kind: 'failed', error });
    attempt?.unanswered(
      'status' in error
        ? error
        : new UpstreamUnreachableError(`upgrade failed: ${error.message}`, { cause: error }),
    );
  });
};

/** The service agreed: from here on the socket carries no HTTP, and the exchange is over. */
function leaveHttp(req: Request, upstream: Socket): void {
  const res = req.res as Response;
  const exchange = exchangeOf(res);
  exchange.upgraded = true;
  exchange.attempt?.answered(101);
  upstream.once('close', () => exchange.attempt?.end({ kind: 'completed' }));
  res.statusCode = 101;
  detach(res, req.socket);
}

function detach(res: ServerResponse, socket: Socket): void {
  res.detachSocket(socket);
  // Nobody will end this response: what waits for its end (permits, logs, metrics) is told here.
  res.emit('close');
}

function releaseWith(socket: Socket, release: Release): void {
  socket.once('close', release);
}
