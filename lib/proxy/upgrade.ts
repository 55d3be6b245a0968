import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Request, Response } from 'express';
import type { Plugin, RequestHandler } from 'http-proxy-middleware';
import { ConcurrencyLimitError } from '../concurrency/errors.ts';
import type { Limiter, Release } from '../concurrency/limiter.ts';
import { ClientGoneError } from '../exchange/errors.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { fieldsByName } from '../exchange/fields.ts';
import { beginAnswer } from './answerHead.ts';
import { asProxyError, blamesReplica } from './outcome.ts';
import { type RequestFieldsOptions, requestFields } from './requestFields.ts';
import { responseFields } from './responseFields.ts';

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
    const { signal } = exchangeOf(request.res as Response);
    const onAbort = () => proxyReq.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    // The client may have left while http-proxy-middleware prepared the request.
    if (signal.aborted) onAbort();
    proxyReq.once('upgrade', (_answer, upstream: Socket) => {
      signal.removeEventListener('abort', onAbort);
      leaveHttp(request, upstream);
    });
    proxyReq.once('response', (answer) => passRefusal(request, answer));
  });
  proxyServer.on('error', (error, req) => {
    if (req) reportFailure(req as Request, error);
  });
};

function reportFailure(req: Request, cause: Error): void {
  const { attempt, upgraded } = exchangeOf(req.res as Response);
  // How a connection ends that has left HTTP says nothing of how requests fare.
  if (!attempt || upgraded) return;
  const error = req.socket.destroyed ? new ClientGoneError() : asProxyError(cause, attempt);
  attempt.end(blamesReplica(error, null) ? { kind: 'failed', error } : { kind: 'abandoned' });
  attempt.unanswered(error);
}

/** The service refused: its answer travels as any other, seen by whoever watches the response. */
function passRefusal(req: Request, answer: IncomingMessage): void {
  const res = req.res as Response;
  const { attempt } = exchangeOf(res);
  // Keeps httpxy from writing the answer to the bare socket.
  Object.assign(answer, { upgrade: true });
  const { statusCode: status = 502, statusMessage = '' } = answer;
  try {
    beginAnswer(res, status, statusMessage, responseFields(answer.rawHeaders));
  } catch (error) {
    answer.destroy();
    reportFailure(req, error as Error);
    return;
  }
  attempt?.answered(status);
  pipeline(answer, res, (error) => {
    attempt?.end(error ? { kind: 'failed', error } : { kind: 'completed' });
  });
}

/** The service agreed: from here on the socket carries no HTTP, and the exchange is over. */
function leaveHttp(req: Request, upstream: Socket): void {
  const res = req.res as Response;
  const exchange = exchangeOf(res);
  exchange.upgraded = true;
  exchange.attempt?.answered(101);
  upstream.once('close', () => {
    exchange.attempt?.end({ kind: 'completed' });
    req.socket.destroySoon();
  });
  // httpxy passes on an end, but not a cut: the service would keep its side for ever.
  req.socket.once('close', () => upstream.destroySoon());
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
