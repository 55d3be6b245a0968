import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express } from 'express';
import type { Clock } from '../../lib/clock/clock.ts';
import { DrainingError } from '../../lib/exchange/errors.ts';
import { type Exchange, exchangeOf } from '../../lib/exchange/exchange.ts';
import { http } from '../../lib/http/nodeHttp.ts';
import { KEEP_ALIVE_PROBE_MS } from '../../lib/http1/origin.ts';
import { LinkedSet } from '../../lib/util/linkedSet.ts';
import { BrokenRequestError, NoSuchServiceError } from '../errors/requestErrors.ts';
import { bornAsExpress, type MessageClasses } from './bornAsExpress.ts';
import { ConnectionAge } from './connections/connectionAge.ts';
import { type ConnectionLimitOptions, limitConnections } from './connections/connectionLimit.ts';
import { keepIdleConnections } from './connections/keepAlive.ts';
import { linger } from './connections/linger.ts';
import { Pipelines } from './connections/pipelines.ts';
import { type PacedRequest, paceContent } from './contentPace.ts';
import { type DrainSignals, letEverybodyIn, whenAborted } from './drain.ts';
import { type OnRefused, refuse } from './refusal.ts';
import { type ParserError, refusalOf, replyToBroken } from './requestChecks.ts';
import { noService, originForm } from './target.ts';
import { asksForWebSocket, watchForEnd } from './upgrades.ts';

/** The most field lines in a request's head. */
const MAX_FIELDS = 1000;
/** How long the client of a WebSocket has to reply to a close frame. */
const CLOSING_MS = 1_000;

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface GatewayServerOptions extends ConnectionLimitOptions {
  /** How long a request's head may take to arrive, since the connection was opened or the previous request ended. */
  readonly headersTimeoutMs: number;
  /** Limit of a request's target, field names and values together, in bytes. A larger head gets a 431. */
  readonly maxHeadBytes: number;
  /** How long an idle connection stays open. */
  readonly keepAliveTimeoutMs: number;
  /** Age after which a connection is closed with its next response. 0: no limit. */
  readonly connectionMaxAgeMs: number;
  readonly clock: Clock;
  /** How long a client may not read on before its connection is closed. 0: no limit. */
  readonly sendTimeoutMs: number;
  readonly onRefused?: OnRefused;
  /** Makes the server. Default: plain HTTP. */
  readonly create?: CreateServer;
}

export type CreateServer = (options: ServerOptions) => Server;

/** One listening port in front of one app. */
export class GatewayServer {
  readonly #app: Express;
  readonly #classes: MessageClasses;
  readonly #onRefused: OnRefused;
  readonly #server: Server;
  /** The responses of all requests under way. */
  readonly #responses = new LinkedSet<ServerResponse>();
  /** Upgraded connections, which carry no HTTP any more. */
  readonly #upgraded = new Map<Duplex, Exchange>();
  /** Connections with an unsafe method: only safe methods may be served concurrently (RFC 9112 section 9.3.2). */
  readonly #byTurns = new WeakSet<Socket>();
  readonly #pipelines = new Pipelines();
  /** Connections that are closed after the reply to a malformed request. */
  readonly #refused = new WeakSet<Socket>();
  readonly #clock: Clock;
  readonly #age: ConnectionAge | undefined;
  #draining = false;
  #closesIdle = false;

  constructor(app: Express, options: Readonly<GatewayServerOptions>) {
    const { connectionMaxAgeMs, clock, sendTimeoutMs } = options;
    const { onRefused = () => {}, create = (serverOptions) => http.createServer(serverOptions) } = options;
    this.#app = app;
    this.#classes = bornAsExpress(app);
    this.#onRefused = onRefused;
    this.#clock = clock;
    if (connectionMaxAgeMs > 0) this.#age = new ConnectionAge(connectionMaxAgeMs, clock);
    this.#server = create({ ...this.#classes, ...nodeOptions(options) });
    // Node refuses a request with more field lines. Dropping some would let the service see another request than the
    // gateway does.
    this.#server.maxHeadersCount = MAX_FIELDS;
    keepIdleConnections(this.#server, options);
    limitConnections(this.#server, options);
    this.#server.setTimeout(sendTimeoutMs, (socket) => this.#handleQuiet(socket));
    // http-proxy-middleware adds a listener for each service.
    this.#server.setMaxListeners(0);
    this.#server.on('request', (req, res) => this.#handle(req, res));
    this.#server.on('checkContinue', (req, res) => this.#handleExpecting(req, res));
    // The gateway knows no such expectation, and serves the request without it.
    this.#server.on('checkExpectation', (req, res) => this.#handle(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#handleUpgrade(req, socket as Socket, head));
    this.#server.on('connect', (_req, socket) => {
      if (!this.#cutOwing(socket)) refuse(socket, 'method_not_allowed', onRefused);
    });
    this.#server.on('clientError', (error, socket) => this.#handleBroken(error, socket));
  }

  /** Resolves to the port that was taken. Rejects when listening fails, and after `drain`. */
  async listen(port: number, host: string, { reusePort = false } = {}): Promise<number> {
    const server = this.#server;
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    // A drain may have come first, and has closed a server that never listened.
    server.once('close', resolve);
    // Without a host, Node listens on '::', or on 0.0.0.0 where there is no IPv6.
    if (this.#draining) resolve();
    else server.listen({ port, host: host === '::' ? undefined : host, reusePort }, resolve);
    await settled.finally(() => server.off('error', reject).off('close', resolve));
    if (!server.listening) throw Object.assign(new Error('stopped'), { code: 'ECANCELED' });
    return (server.address() as AddressInfo).port;
  }

  /**
   * Stops accepting connections and lets requests under way finish. A connection is closed with its next response, when its
   * keep-alive time is over, or when one of the signals is aborted.
   */
  async drain({ graceOver, outOfTime }: DrainSignals): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.once('close', () => resolve()));
    if (!graceOver.aborted && this.#server.listening) await letEverybodyIn(this.#server, graceOver);
    // The close of `http` is not used: it closes idle connections at once, to which a request may be on its way.
    NetServer.prototype.close.call(this.#server);
    this.#draining = true;
    for (const res of this.#responses) closeAfter(res);
    const watches = [
      whenAborted(graceOver, () => this.#closeIdle()),
      whenAborted(outOfTime, () => this.#cut()),
    ];
    await closed;
    for (const unwatch of watches) unwatch();
    // Ends Node's timer for late heads.
    this.#server.close();
  }

  #closeIdle(): void {
    this.#closesIdle = true;
    // Requests that arrived while the process was busy are read first.
    setImmediate(() => this.#server.closeIdleConnections());
  }

  /** Sends a reply where no response has begun, then closes every connection. */
  #cut(): void {
    for (const res of this.#responses) exchangeOf(res).abort(new DrainingError());
    // WebSockets send a close frame first.
    for (const exchange of this.#upgraded.values()) exchange.abort(new DrainingError(), 'settled');
    setImmediate(() => this.#server.closeAllConnections());
    const destroyUpgraded = () => {
      for (const socket of this.#upgraded.keys()) socket.destroy();
    };
    setTimeout(destroyUpgraded, CLOSING_MS).unref();
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    if (!SAFE_METHODS.has(req.method)) this.#byTurns.add(req.socket);
    // Another request on this connection comes first. Node emits `socket` when that one has ended.
    if (res.socket === null) {
      const waiting = this.#pipelines.enter(req, res);
      if (this.#byTurns.has(req.socket) || this.#pipelines.isFull(waiting)) {
        res.once('socket', () => process.nextTick(() => this.#handle(req, res)));
        return;
      }
    }
    // It arrived together with a malformed request, so it may not be what it seems.
    if (this.#refused.has(req.socket)) return;
    const place = this.#responses.enter(res);
    const exchange = exchangeOf(res);
    exchange.onClose(() => {
      place.leave();
      if (!req.complete) linger(req);
      // The head of this response promised to keep the connection, before the drain began.
      if (this.#closesIdle) setImmediate(() => this.#server.closeIdleConnections());
    });
    // Stages wait for the end of the response.
    res.setMaxListeners(0);
    if (this.#endsConnection(req)) closeAfter(res);
    if (req.headers['transfer-encoding'] !== undefined) paceContent(req as PacedRequest, res, this.#clock);
    const target = req.url ?? '';
    const refusal = refusalOf(req);
    if (refusal) {
      closeAfter(res);
      this.#refused.add(req.socket);
      exchange.refusal = refusal;
    }
    const path = originForm(target, req.headers.host);
    // What has no origin-form is for nothing, also where a route is for every path; and Express could not parse it.
    if (path === undefined) exchange.refusal ??= new NoSuchServiceError('no origin-form');
    req.url = path ?? noService(target);
    this.#app(req, res);
  }

  /** Whether the connection is closed after the response to this request. */
  #endsConnection({ socket }: IncomingMessage): boolean {
    return this.#draining || (this.#age?.isOver(socket) ?? false);
  }

  /**
   * A client that waits for `100 Continue` gets it when the content is read, and not when the request is refused before. After
   * a refusal nobody can tell whether content follows, so the connection is closed (RFC 9110 section 10.1.1).
   */
  #handleExpecting(req: IncomingMessage, res: ServerResponse): void {
    const { shouldKeepAlive } = res;
    closeAfter(res);
    req.once('resume', () => {
      if (res.headersSent) return;
      res.shouldKeepAlive = shouldKeepAlive && !this.#endsConnection(req);
      res.writeContinue();
    });
    this.#handle(req, res);
  }

  /** Nothing was read or written for a while: the connection is idle, or its client does not read. */
  #handleQuiet(socket: Socket): void {
    const { bytesRead } = socket;
    // After the process was busy, the timer fires before data that has arrived meanwhile is read.
    setImmediate(() => {
      if (socket.bytesRead !== bytesRead) return;
      const isIdle = ![...this.#responses].some(({ req }) => req.socket === socket);
      if (isIdle || socket.writableLength > 0) socket.destroy();
    });
  }

  /** Handles bytes that Node's parser has refused: a request that never began, or the content of one that has. */
  #handleBroken(error: ParserError, socket: Duplex): void {
    // This connection was refused already.
    if (socket.writableEnded) return;
    const [res, another] = [...this.#responses].filter(({ req }) => req.socket === socket);
    // Bytes after a request with `Connection: close` are ignored (RFC 9112 section 9.6). That request still gets its
    // response.
    if (res && error.code === 'HPE_CLOSED_CONNECTION') return;
    // No head has arrived, or the client has left: nobody waits for a reply.
    if (error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
      socket.destroy();
    } else if (!res) {
      refuse(socket, replyToBroken(error), this.#onRefused);
    } else if (another || res.headersSent || res.req.complete) {
      // An earlier request still waits for its response, for which a refusal would be mistaken.
      socket.destroy();
    } else {
      closeAfter(res);
      exchangeOf(res).abort(new BrokenRequestError(error.message, { cause: error }));
    }
  }

  /**
   * Closes a connection that is upgraded while earlier requests on it have no response yet, and returns whether it did. Node
   * forgets those responses with the upgrade, so that whatever waits for their end would wait for ever.
   */
  #cutOwing(socket: Duplex): boolean {
    const owed = [...this.#responses].filter(({ req }) => req.socket === socket);
    if (owed.length === 0) return false;
    socket.destroy();
    for (const res of owed) res.emit('close');
    return true;
  }

  /** A request to upgrade runs through the same app, so that it gets a real HTTP response when it is refused. */
  #handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#cutOwing(socket)) return;
    const res = new this.#classes.ServerResponse(req);
    res.assignSocket(socket);
    closeAfter(res);
    // Destroyed and not ended: a refused client that never closes its side would keep its permit.
    res.once('finish', () => socket.destroySoon());
    socket.on('error', () => socket.destroy());
    res.once('close', watchForEnd(socket));
    const exchange = exchangeOf(res);
    exchange.upgradeHead = head;
    this.#upgraded.set(socket, exchange);
    socket.once('close', () => this.#upgraded.delete(socket));
    this.#handle(req, res);
  }
}

/** What Node is told. */
function nodeOptions({ headersTimeoutMs, maxHeadBytes }: GatewayServerOptions): ServerOptions {
  return {
    // Node then does not wait for anybody to read a request that has no content.
    optimizeEmptyRequests: true,
    maxHeaderSize: maxHeadBytes,
    // An upload may take any time while it flows: the timeout stage watches it.
    requestTimeout: 0,
    // Set explicitly: Node's default is the smaller of this and requestTimeout, which is 0.
    headersTimeout: headersTimeoutMs,
    // How often Node checks for late heads.
    connectionsCheckingInterval: Math.min(30_000, Math.ceil(headersTimeoutMs / 4)),
    // Node's own reply would have no content. The router refuses such a request instead.
    requireHostHeader: false,
    // Notices clients that have vanished without a FIN, although nothing is being sent to them.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    // Offers to upgrade to anything else may be ignored (RFC 9110 section 7.8).
    shouldUpgradeCallback: asksForWebSocket,
  };
}

function closeAfter(res: ServerResponse): void {
  res.shouldKeepAlive = false;
}
