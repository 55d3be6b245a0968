import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Request, Response } from 'express';
import type { Plugin, RequestHandler } from 'http-proxy-middleware';
import { ConcurrencyLimitError } from '../concurrency/errors.ts';
import type { Limiter } from '../concurrency/limiter.ts';
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
  req.socket.once('close', release);
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
    proxyReq.once('upgrade', (answer, upstream: Socket) => {
      signal.removeEventListener('abort', onAbort);
      // httpxy, whose listener comes later, writes the head from here.
      answer.headers = switchingFields(request, answer);
      leaveHttp(request, upstream);
    });
    proxyReq.once('response', (answer) => passRefusal(request, answer));
    // Behind httpxy's own listener, which comes later than this event: Node would take the mark for a 101.
    process.nextTick(() => proxyReq.once('response', (answer) => markUpgraded(answer, false)));
  });
  proxyServer.on('error', (error, req) => {
    if (req) reportFailure(req as Request, error);
  });
};

function reportFailure(req: Request, cause: Error): void {
  const { attempt, upgraded } = exchangeOf(req.res as Response);
  // How a connection ends that has left HTTP says nothing of how requests fare.
  if (!attempt || upgraded) return;
  if (req.socket.destroyed) {
    attempt.end({ kind: 'abandoned' });
    return;
  }
  const error = asProxyError(cause, attempt);
  attempt.end(blamesReplica(error, null) ? { kind: 'failed', error } : { kind: 'abandoned' });
  attempt.unanswered(error);
}

/** The service refused: its answer travels as any other, seen by whoever watches the response. */
function passRefusal(req: Request, answer: IncomingMessage): void {
  const res = req.res as Response;
  const { attempt, signal } = exchangeOf(res);
  // Keeps httpxy from writing the answer to the bare socket.
  markUpgraded(answer, true);
  const { statusCode: status = 502, statusMessage = '' } = answer;
  try {
    beginAnswer(res, status, statusMessage, responseFields(answer.rawHeaders, status));
  } catch (error) {
    answer.destroy();
    reportFailure(req, error as Error);
    return;
  }
  attempt?.answered(status);
  // What it sent ahead for a WebSocket that will not be is dropped: unread, it would hide that the client has left.
  req.socket.removeAllListeners('readable').resume();
  answer.once('error', (error) => {
    attempt?.end(signal.aborted ? { kind: 'abandoned' } : { kind: 'failed', error });
  });
  pipeline(answer, res, () => attempt?.end({ kind: 'completed' }));
}

/** The fields of the service's 101 that belong to the client, and the gateway's own. */
function switchingFields(req: Request, { headers, rawHeaders }: IncomingMessage): IncomingHttpHeaders {
  const passed = fieldsByName(responseFields(rawHeaders));
  const fields = Object.entries(headers).filter(([name]) => name in passed);
  const own = (req.res as Response).getHeaders() as IncomingHttpHeaders;
  return {
    ...Object.fromEntries(fields),
    ...own,
    connection: 'Upgrade',
    upgrade: headers.upgrade ?? req.headers.upgrade,
  };
}

/** What Node and httpxy look at, and Node's types do not know. */
function markUpgraded(answer: IncomingMessage, upgrade: boolean): void {
  Object.assign(answer, { upgrade });
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
