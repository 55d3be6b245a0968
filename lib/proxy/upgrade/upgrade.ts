import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Request, Response } from 'express';
import type { Plugin, RequestHandler } from 'http-proxy-middleware';
import type { Clock } from '../../clock/clock.ts';
import { ConcurrencyLimitError } from '../../concurrency/errors.ts';
import { isPermit, type Permits, UNLIMITED } from '../../concurrency/permits.ts';
import { type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import { fieldsByName } from '../../http/fields.ts';
import { subprotocols } from '../../http/subprotocol.ts';
import { KEEP_ALIVE_PROBE_MS } from '../../http1/origin.ts';
import { writerOf } from '../../response/responseWriter.ts';
import { IdleTimeout } from '../../timeout/idleTimeout.ts';
import { RequestSentTwiceError, UpstreamSilentError } from '../errors.ts';
import { asProxyError, outcomeOf } from '../response/outcome.ts';
import type { ResponseFields } from '../response/responseFields.ts';
import { beginResponse } from '../response/responseHead.ts';
import { OpenWebSocket } from './webSocket.ts';

const NOTHING = Buffer.alloc(0);

/** http-proxy-middleware. */
export type UpgradingProxy = RequestHandler<Request, Response>;

export interface UpgradeOptions {
  /** Longest pause in the response of a service that refuses, and on a connection of which one side has ended. */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  readonly responseFields: ResponseFields;
  /** Whether a token among the subprotocols is the gateway's to take. */
  readonly ownsIdentity: boolean;
}

/** Hands a request to upgrade its connection to http-proxy-middleware, with the fields a service may see. */
export function upgrade(
  proxy: Promise<UpgradingProxy>,
  req: Request,
  requestFields: (exchange: Exchange) => string[],
  caller: string,
  upgrades: Permits = UNLIMITED,
): void {
  const exchange = exchangeOf(req.res as Response);
  const permit = upgrades.tryAcquire(caller);
  if (!isPermit(permit)) {
    exchange.attempt?.end({ kind: 'abandoned' });
    exchange.attempt?.noResponse(new ConcurrencyLimitError('upgrades', upgrades.limit, permit));
    return;
  }
  exchange.attempt?.watch({ responded() {}, ended: () => permit.release() });
  const headers = {
    ...fieldsByName(requestFields(exchange)),
    connection: 'Upgrade',
    upgrade: req.headers.upgrade,
  };
  // What the client sent stays as it is, for a second try.
  const onward: Request = Object.create(req, { headers: { value: headers } });
  const head = exchange.upgradeHead ?? NOTHING;
  // From here on it is in the socket again.
  exchange.upgradeHead = NOTHING;
  proxy
    .then((loaded) => loaded.upgrade(onward, req.socket, head))
    .catch((error) => reportFailure(req, error));
}

/** Reports what becomes of an upgrade to its attempt: http-proxy-middleware itself tells only its events. */
export function reportUpgrades(options: Readonly<UpgradeOptions>): Plugin<Request, Response> {
  return (proxyServer) => {
    proxyServer.on('proxyReqWs', (proxyReq: ClientRequest, req: IncomingMessage) => {
      report(proxyReq, req as Request, options);
    });
    proxyServer.on('error', (error, req) => {
      if (req) reportFailure(req as Request, error);
    });
  };
}

function report(proxyReq: ClientRequest, req: Request, options: Readonly<UpgradeOptions>): void {
  const exchange = exchangeOf(req.res as Response);
  const { signal, attempt } = exchange;
  proxyReq.once('socket', (socket) => {
    const send = () => {
      if (!exchange.claimSend()) proxyReq.destroy(new RequestSentTwiceError());
      else if (attempt) attempt.sent = true;
    };
    if (socket.connecting) socket.once('connect', send);
    else send();
  });
  const onAbort = () => proxyReq.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  proxyReq.once('upgrade', (answer, upstream: Socket) => {
    signal.removeEventListener('abort', onAbort);
    // httpxy, whose listener comes later, writes the head from here.
    answer.headers = switchingFields(req, answer, options);
    leaveHttp(req, upstream, options);
  });
  proxyReq.once('response', (answer) => passRefusal(req, answer, options));
  process.nextTick(() => {
    // httpxy's own listener, which comes later than this event, ends the client's connection: no reply, no second try.
    proxyReq.removeAllListeners('error').on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reportFailure(req, error);
    });
    // Behind httpxy's own: Node would take the mark for a 101.
    proxyReq.once('response', (answer) => markUpgraded(answer, false));
  });
  // The client may have left while http-proxy-middleware prepared the request.
  if (signal.aborted) onAbort();
}

function reportFailure(req: Request, cause: Error): void {
  const { attempt, upgraded } = exchangeOf(req.res as Response);
  // How a connection ends that has left HTTP says nothing of how requests fare.
  if (!attempt || upgraded) return;
  if (req.socket.destroyed) {
    attempt.end({ kind: 'abandoned' });
    return;
  }
  const error = asProxyError(cause, attempt);
  attempt.end(outcomeOf(error, { attempt, body: null, res: req.res as Response }));
  attempt.noResponse(error);
}

/** The service refused: its answer travels as any other, seen by whoever watches the response. */
function passRefusal(req: Request, answer: IncomingMessage, options: Readonly<UpgradeOptions>): void {
  const res = req.res as Response;
  const { attempt, signal, response } = exchangeOf(res);
  // Keeps httpxy from writing the answer to the bare socket.
  markUpgraded(answer, true);
  const { statusCode: status = 502, statusMessage = '' } = answer;
  try {
    beginResponse(response, status, statusMessage, options.responseFields(answer.rawHeaders, status));
  } catch (error) {
    answer.destroy();
    reportFailure(req, error as Error);
    return;
  }
  attempt?.responded(status);
  // What it sent ahead for a WebSocket that will not be is dropped: unread, it would hide that the client has left.
  req.socket.removeAllListeners('readable').resume();
  answer.once('error', (error) => {
    attempt?.end(
      signal.aborted || res.writableNeedDrain
        ? { kind: 'abandoned' }
        : { kind: 'failed', failure: 'bad', error },
    );
  });
  const idleTimeout = watchForIdle(answer, options);
  pipeline(answer, res, () => {
    idleTimeout.stop();
    attempt?.end({ kind: 'completed' });
  });
}

/** A service that falls silent, and a client that does not read on, would keep each other waiting for ever. */
function watchForIdle(
  answer: IncomingMessage,
  { clock, idleTimeoutMs }: Readonly<UpgradeOptions>,
): IdleTimeout {
  const idleTimeout = new IdleTimeout(clock, idleTimeoutMs, () =>
    answer.destroy(new UpstreamSilentError(idleTimeoutMs)),
  );
  answer.on('data', () => idleTimeout.activity());
  idleTimeout.start();
  return idleTimeout;
}

/** The fields of the service's 101 that belong to the client, and the gateway's own. */
function switchingFields(
  req: Request,
  { headers, rawHeaders }: IncomingMessage,
  { responseFields, ownsIdentity }: Readonly<UpgradeOptions>,
): IncomingHttpHeaders {
  const res = req.res as Response;
  const passed = fieldsByName(responseFields(rawHeaders, 101));
  const fields = Object.entries(headers).filter(([name]) => name in passed);
  const offered = ownsIdentity ? subprotocols(res.req.headers['sec-websocket-protocol']) : undefined;
  return {
    // Browsers give up when they offered something and nothing was chosen.
    ...(offered?.token === undefined ? {} : { 'sec-websocket-protocol': 'bearer' }),
    ...Object.fromEntries(fields),
    ...(passed.via === undefined ? {} : { via: passed.via }),
    ...(res.getHeaders() as IncomingHttpHeaders),
    ...fieldsByName(writerOf(res).addedFor(101)),
    connection: 'Upgrade',
    upgrade: headers.upgrade ?? req.headers.upgrade,
  };
}

/** What Node and httpxy look at, and Node's types do not know. */
function markUpgraded(answer: IncomingMessage, upgrade: boolean): void {
  Object.assign(answer, { upgrade });
}

/** The service agreed: from here on the socket carries no HTTP, and the exchange is over. */
function leaveHttp(req: Request, upstream: Socket, options: Readonly<UpgradeOptions>): void {
  const res = req.res as Response;
  const exchange = exchangeOf(res);
  const webSocket = new OpenWebSocket(req.socket, upstream);
  const goAway = () => webSocket.goAway();
  exchange.upgraded = true;
  upstream.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
  exchange.attempt?.responded(101);
  exchange.signal.addEventListener('abort', goAway, { once: true });
  upstream.once('close', () => {
    exchange.signal.removeEventListener('abort', goAway);
    exchange.attempt?.end({ kind: 'completed' });
    req.socket.destroySoon();
  });
  // httpxy passes on an end, but not a cut: the service would keep its side for ever.
  req.socket.once('close', () => upstream.destroySoon());
  endWhenIdle(req.socket, upstream, options);
  res.statusCode = 101;
  detach(res, req.socket);
}

/** A side that has ended waits for the other one to end only as long as that one still says something. */
function endWhenIdle(
  client: Socket,
  service: Socket,
  { clock, idleTimeoutMs }: Readonly<UpgradeOptions>,
): void {
  const idleTimeout = new IdleTimeout(clock, idleTimeoutMs, () => service.destroy());
  const heard = () => idleTimeout.activity();
  const listen = () => {
    if (service.destroyed) return;
    for (const side of [client, service]) side.off('data', heard).on('data', heard);
    idleTimeout.start();
  };
  // It has ended, or is gone while the service reads nothing of what is left for it.
  client.once('end', listen).once('close', listen);
  service.once('end', listen).once('close', () => idleTimeout.stop());
}

function detach(res: ServerResponse, socket: Socket): void {
  res.detachSocket(socket);
  // Nobody will end this response: what waits for its end (permits, logs, metrics) is told here.
  res.emit('close');
}
