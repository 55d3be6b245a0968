import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Request, Response } from 'express';
import type { Plugin, RequestHandler } from 'http-proxy-middleware';
import type { Clock } from '../../clock/clock.ts';
import { ConcurrencyLimitError } from '../../concurrency/errors.ts';
import { isPermit, type Permits, UNLIMITED } from '../../concurrency/permits.ts';
import { type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import { fieldsByName, fieldValues } from '../../http/fields.ts';
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

/** The middleware of http-proxy-middleware, which upgrades connections. */
export type UpgradingProxy = RequestHandler<Request, Response>;

export interface UpgradeOptions {
  /**
   * Longest time without data in the response of a service that refuses, and on a connection of which one side has
   * ended.
   */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  readonly responseFields: ResponseFields;
  /** Whether the gateway removes a token from the subprotocols. */
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
    // For where the fields have none.
    host: exchange.attempt?.target.url.host,
    ...fieldsByName(requestFields(exchange)),
    connection: 'Upgrade',
    upgrade: req.headers.upgrade,
  };
  // The request itself is not changed, since a second try may need it.
  const onward: Request = Object.create(req, { headers: { value: headers } });
  const head = exchange.upgradeHead ?? NOTHING;
  // From here on these bytes are in the socket again.
  exchange.upgradeHead = NOTHING;
  proxy
    .then((loaded) => loaded.upgrade(onward, req.socket, head))
    .catch((error) => reportFailure(req, error));
}

/** Reports the outcome of an upgrade to its attempt, by the events of http-proxy-middleware. */
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
  proxyReq.once('upgrade', (upstreamResponse, upstream: Socket) => {
    signal.removeEventListener('abort', onAbort);
    // httpxy writes the client's head from these fields, in a listener that is called later.
    upstreamResponse.headers = switchingFields(req, upstreamResponse, options);
    leaveHttp(req, upstream, options);
  });
  proxyReq.once('response', (upstreamResponse) => passRefusal(req, upstreamResponse, options));
  process.nextTick(() => {
    // httpxy adds its own listener after this event. It would close the client's connection, without a reply or second
    // try.
    proxyReq.removeAllListeners('error').on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reportFailure(req, error);
    });
    // Called after httpxy's own listener: Node would take the mark for a 101.
    proxyReq.once('response', (upstreamResponse) => markUpgraded(upstreamResponse, false));
  });
  // The client may have left while http-proxy-middleware was preparing the request.
  if (signal.aborted) onAbort();
}

function reportFailure(req: Request, cause: Error): void {
  const { attempt, upgraded } = exchangeOf(req.res as Response);
  // The end of an upgraded connection says nothing about how the replica handles requests.
  if (!attempt || upgraded) return;
  if (req.socket.destroyed) {
    attempt.end({ kind: 'abandoned' });
    return;
  }
  const error = asProxyError(cause, attempt);
  attempt.end(outcomeOf(error, { attempt, body: null, res: req.res as Response }));
  attempt.noResponse(error);
}

/** The service refused: its response travels as any other, seen by whoever watches the response. */
function passRefusal(
  req: Request,
  upstreamResponse: IncomingMessage,
  options: Readonly<UpgradeOptions>,
): void {
  const res = req.res as Response;
  const exchange = exchangeOf(res);
  const { attempt, signal, response } = exchange;
  // Keeps httpxy from writing the response to the bare socket.
  markUpgraded(upstreamResponse, true);
  const { statusCode: status = 502, statusMessage = '' } = upstreamResponse;
  try {
    const fields = options.responseFields(upstreamResponse.rawHeaders, status, exchange);
    beginResponse(response, status, statusMessage, fields);
  } catch (error) {
    upstreamResponse.destroy();
    reportFailure(req, error as Error);
    return;
  }
  attempt?.responded(status);
  // Bytes that the client sent ahead for its WebSocket are dropped. Unread, they would hide that the client has left.
  req.socket.removeAllListeners('readable').resume();
  upstreamResponse.once('error', (error) => {
    attempt?.end(
      signal.aborted || res.writableNeedDrain
        ? { kind: 'abandoned' }
        : { kind: 'failed', failure: 'bad', error },
    );
  });
  const idleTimeout = watchForIdle(upstreamResponse, options);
  pipeline(upstreamResponse, res, () => {
    idleTimeout.stop();
    attempt?.end({ kind: 'completed' });
  });
}

/** Without it, a service that sends nothing and a client that does not read could wait for each other for ever. */
function watchForIdle(
  upstreamResponse: IncomingMessage,
  { clock, idleTimeoutMs }: Readonly<UpgradeOptions>,
): IdleTimeout {
  const idleTimeout = new IdleTimeout(clock, idleTimeoutMs, () =>
    upstreamResponse.destroy(new UpstreamSilentError(idleTimeoutMs)),
  );
  upstreamResponse.on('data', () => idleTimeout.activity());
  idleTimeout.start();
  return idleTimeout;
}

/** The fields of the client's 101: those of the service's that may pass, and the gateway's own. */
function switchingFields(
  req: Request,
  { headers, rawHeaders }: IncomingMessage,
  { responseFields, ownsIdentity }: Readonly<UpgradeOptions>,
): IncomingHttpHeaders {
  const res = req.res as Response;
  const lines = writerOf(res).complete(responseFields(rawHeaders, 101, exchangeOf(res)), 101);
  const cookies = fieldValues(lines, 'set-cookie');
  const offered = ownsIdentity ? subprotocols(res.req.headers['sec-websocket-protocol']) : undefined;
  return {
    // Browsers close the connection when they offered subprotocols and none was chosen.
    ...(offered?.token === undefined ? {} : { 'sec-websocket-protocol': 'bearer' }),
    ...fieldsByName(lines),
    ...(cookies.length === 0 ? {} : { 'set-cookie': cookies }),
    ...(res.getHeaders() as IncomingHttpHeaders),
    connection: 'Upgrade',
    upgrade: headers.upgrade ?? req.headers.upgrade,
  };
}

/** Sets a property that Node and httpxy read, and that Node's types do not have. */
function markUpgraded(upstreamResponse: IncomingMessage, upgrade: boolean): void {
  Object.assign(upstreamResponse, { upgrade });
}

/** The service has accepted: from here on the socket carries no HTTP, and the exchange is over. */
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
  // httpxy passes on an end, but not a reset: the service would keep its side open for ever.
  req.socket.once('close', () => upstream.destroySoon());
  endWhenIdle(req.socket, upstream, options);
  res.statusCode = 101;
  detach(res, req.socket);
}

/** When one side has ended, the other one may stay open only as long as it still sends data. */
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
  // The client has ended, or is gone while the service does not read what is left for it.
  client.once('end', listen).once('close', listen);
  service.once('end', listen).once('close', () => idleTimeout.stop());
}

function detach(res: ServerResponse, socket: Socket): void {
  res.detachSocket(socket);
  // Nobody will end this response, so whatever waits for its end (permits, logs, metrics) is told here.
  res.emit('close');
}
