import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Express } from 'express';
import type { Clock } from '../../lib/clock/clock.ts';
import { isPermit, type Permits } from '../../lib/concurrency/permits.ts';
import { DrainingError } from '../../lib/exchange/errors.ts';
import { type Exchange, exchangeOf } from '../../lib/exchange/exchange.ts';
import { rateLimitKey } from '../../lib/http/clientAddress.ts';
import { http } from '../../lib/http/nodeHttp.ts';
import { KEEP_ALIVE_PROBE_MS } from '../../lib/http1/origin.ts';
import { LinkedSet } from '../../lib/util/linkedSet.ts';
import { BrokenRequestError } from '../errors.ts';
import { bornAsExpress, type MessageClasses } from './bornAsExpress.ts';
import { ConnectionAge } from './connectionAge.ts';
import { type PacedRequest, paceContent } from './contentPace.ts';
import { keepIdleConnections } from './keepAlive.ts';
import { Pipelines } from './pipelines.ts';
import { type OnRefused, refuse } from './refusal.ts';
import { type ParserError, refusalOf, replyToBroken } from './requestChecks.ts';
import { noService, originForm } from './target.ts';

/** Field lines of a request's head. */
const MAX_FIELDS = 1000;
/** How long a client may go on with content that nobody wants any more, once it has its answer. */
const LINGER_MS = 5_000;
/** How long a WebSocket's client has to answer a close frame. */
const CLOSING_MS = 1_000;

/** RFC 9110 section 9.2.1. */
const SAFE_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** How long a listener is asked whether everybody who knocked has been let in: the rest of the grace is for leaving. */
const LETTING_IN_MS = 1_000;
/** A turn of the event loop in which next to nothing was done. */
const QUIET_TURN_MS = 0.2;

/** When a drain becomes impatient. */
export interface DrainSignals {
  /** Aborted: idle connections are closed. */
  readonly graceOver: AbortSignal;
  /** Aborted: whatever is left is cut. */
  readonly outOfTime: AbortSignal;
}

export interface GatewayServerOptions {
  /** How long a request's head may take to arrive, from the connection or the end of the request before. */
  readonly headersTimeoutMs: number;
  /** Request target, field names and values of a request together; a larger head gets a 431. */
  readonly maxHeadBytes: number;
  /** How long an idle connection stays open. */
  readonly keepAliveTimeoutMs: number;
  /** Age from which a connection ends with its next response. 0: no limit. */
  readonly connectionMaxAgeMs: number;
  readonly clock: Clock;
  /** How long a client may leave its answer unread before it is cut off. 0: for ever. */
  readonly sendTimeoutMs: number;
  /** Connections open at a time; more are closed unheard. 0: no limit. */
  readonly maxConnections: number;
  /** Counts them by address, for several threads together too. Default: all that Node lets in. */
  readonly connections?: Permits | undefined;
  /** Whether the peer at an address speaks for many clients. Default: nobody does. */
  readonly trustsPeer?: (address: string) => boolean;
  readonly onRefused?: OnRefused;
  /** Whether the peer at an address may connect; others are closed unheard. Default: everybody. */
  readonly mayConnect?: (address: string | undefined) => boolean;
  /** Makes what listens. Default: plain HTTP. */
  readonly create?: CreateServer;
}

export type CreateServer = (options: ServerOptions) => Server;

/** One listening port in front of one app. */
export class GatewayServer {
  readonly #app: Express;
  readonly #classes: MessageClasses;
  readonly #onRefused: OnRefused;
  readonly #server: Server;
  /** Requests under way. */
  readonly #responses = new LinkedSet<ServerResponse>();
  /** Connections that left HTTP. */
  readonly #upgraded = new Map<Duplex, Exchange>();
  /** Connections that have carried an unsafe method: only safe ones may run side by side (RFC 9112 section 9.3.2). */
  readonly #byTurns = new WeakSet<Socket>();
  readonly #pipelines = new Pipelines();
  /** Connections that end with the reply to a request that was refused for its form. */
  readonly #refused = new WeakSet<Socket>();
  readonly #clock: Clock;
  readonly #age: ConnectionAge | undefined;
  #draining = false;
  #closesIdle = false;

  constructor(app: Express, options: Readonly<GatewayServerOptions>) {
    const { headersTimeoutMs, maxHeadBytes, sendTimeoutMs, maxConnections, connections, mayConnect } =
      options;
    const { onRefused = () => {}, create = (serverOptions) => http.createServer(serverOptions) } = options;
    this.#app = app;
    this.#classes = bornAsExpress(app);
    this.#onRefused = onRefused;
    const { connectionMaxAgeMs, clock, trustsPeer = () => false } = options;
    this.#clock = clock;
    if (connectionMaxAgeMs > 0) this.#age = new ConnectionAge(connectionMaxAgeMs, clock);
    this.#server = create({
      ...this.#classes,
      // What has no content is not read to its end, either.
      optimizeEmptyRequests: true,
      maxHeaderSize: maxHeadBytes,
      // An upload may take as long as it flows; the app's deadline watches it.
      requestTimeout: 0,
      // Said outright: Node's default is the lesser of this and requestTimeout, so 0.
      headersTimeout: headersTimeoutMs,
      // How often Node looks for heads that are late.
      connectionsCheckingInterval: Math.min(30_000, Math.ceil(headersTimeoutMs / 4)),
      // Node's own reply would be bare; the router refuses such a request.
      requireHostHeader: false,
      // A client that vanished without a FIN is noticed, although nothing is on its way to it.
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
      // Any other offer to upgrade may be ignored (RFC 9110 section 7.8).
      shouldUpgradeCallback: asksForWebSocket,
    });
    // Node refuses a request with more. Nothing may be dropped: the service would judge another request than the
    // gateway.
    this.#server.maxHeadersCount = MAX_FIELDS;
    keepIdleConnections(this.#server, options);
    if (connections)
      this.#server.prependListener('connection', (socket) => admit(socket, connections, trustsPeer));
    else if (maxConnections > 0) this.#server.maxConnections = maxConnections;
    if (mayConnect) {
      this.#server.prependListener('connection', (socket) => {
        if (!mayConnect(socket.remoteAddress)) socket.destroy();
      });
    }
    this.#server.setTimeout(sendTimeoutMs, (socket) => this.#handleQuiet(socket));
    // http-proxy-middleware adds one for each service.
    this.#server.setMaxListeners(0);
    this.#server.on('request', (req, res) => this.#handle(req, res));
    this.#server.on('checkContinue', (req, res) => this.#handleExpecting(req, res));
    // An expectation that nobody here knows: the request is served without it.
    this.#server.on('checkExpectation', (req, res) => this.#handle(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#handleUpgrade(req, socket as Socket, head));
    this.#server.on('connect', (_req, socket) => {
      if (!this.#cutOwing(socket)) refuse(socket, 'method_not_allowed', onRefused);
    });
    this.#server.on('clientError', (error, socket) => this.#handleBroken(error, socket));
  }

  /** Resolves to the port really taken. Rejects when it cannot be, and after `drain`. */
  async listen(port: number, host: string, { reusePort = false } = {}): Promise<number> {
    const server = this.#server;
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    // A drain that comes first closes what never listened.
    server.once('close', resolve);
    // Left out, '::' becomes 0.0.0.0 on a machine without IPv6.
    if (this.#draining) resolve();
    else server.listen({ port, host: host === '::' ? undefined : host, reusePort }, resolve);
    await settled.finally(() => server.off('error', reject).off('close', resolve));
    if (!server.listening) throw Object.assign(new Error('stopped'), { code: 'ECANCELED' });
    return (server.address() as AddressInfo).port;
  }

  /**
   * Stops accepting and lets requests under way finish. A connection ends with its next answer, when its keep-alive is
   * over, or when one of the signals says so.
   */
  async drain({ graceOver, outOfTime }: DrainSignals): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.once('close', () => resolve()));
    if (!graceOver.aborted && this.#server.listening) await this.#letEverybodyIn(graceOver);
    // Not http's close: it cuts idle connections, and a request may be on its way there.
    NetServer.prototype.close.call(this.#server);
    this.#draining = true;
    for (const res of this.#responses) closeAfter(res);
    const watches = [
      whenAborted(graceOver, () => this.#closeIdle()),
      whenAborted(outOfTime, () => this.#cut()),
    ];
    await closed;
    for (const unwatch of watches) unwatch();
    // Ends Node's watch over heads that are late.
    this.#server.close();
  }

  /**
   * Waits for a short turn of the event loop that brought no connection: those that the kernel holds for a listener are
   * reset with it, unless net.ipv4.tcp_migrate_req hands them on. Answers still promise to keep their connections, or
   * many clients would come back just now.
   */
  async #letEverybodyIn(graceOver: AbortSignal): Promise<void> {
    let cameIn = false;
    const onConnection = () => {
      cameIn = true;
    };
    this.#server.on('connection', onConnection);
    // The rest of the turn that runs now tells nothing.
    await nextTurn();
    const giveUpAtMs = performance.now() + LETTING_IN_MS;
    for (let quiet = false; !quiet && !graceOver.aborted && performance.now() < giveUpAtMs; ) {
      cameIn = false;
      const startedAtMs = performance.now();
      await nextTurn();
      quiet = !cameIn && performance.now() - startedAtMs < QUIET_TURN_MS;
    }
    this.#server.off('connection', onConnection);
  }

  #closeIdle(): void {
    this.#closesIdle = true;
    // Not before requests are read that came while the process was held up.
    setImmediate(() => this.#server.closeIdleConnections());
  }

  /** A reply where none has begun, then the end of every connection. */
  #cut(): void {
    for (const res of this.#responses) exchangeOf(res).abort(new DrainingError());
    // Those that left HTTP say good-bye in their own words.
    for (const exchange of this.#upgraded.values()) exchange.abort(new DrainingError(), 'settled');
    setImmediate(() => this.#server.closeAllConnections());
    const destroyUpgraded = () => {
      for (const socket of this.#upgraded.keys()) socket.destroy();
    };
    setTimeout(destroyUpgraded, CLOSING_MS).unref();
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    if (!SAFE_METHODS.has(req.method)) this.#byTurns.add(req.socket);
    // Behind another request on its connection, whose end Node tells so.
    if (res.socket === null) {
      const waiting = this.#pipelines.enter(req, res);
      if (this.#byTurns.has(req.socket) || this.#pipelines.isFull(waiting)) {
        res.once('socket', () => process.nextTick(() => this.#handle(req, res)));
        return;
      }
    }
    // Sent along with what was refused: it need not be what it seems.
    if (this.#refused.has(req.socket)) return;
    const place = this.#responses.enter(res);
    const exchange = exchangeOf(res);
    exchange.onClose(() => {
      place.leave();
      if (!req.complete) linger(req);
      // An answer that had promised to keep its connection before the drain began.
      if (this.#closesIdle) setImmediate(() => this.#server.closeIdleConnections());
    });
    // Every stage waits for its end.
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
    // What cannot be brought into origin-form names no service; Express could not even parse it.
    req.url = originForm(target, req.headers.host) ?? noService(target);
    this.#app(req, res);
  }

  /** Whether the connection ends with the response to this request. */
  #endsConnection({ socket }: IncomingMessage): boolean {
    return this.#draining || (this.#age?.isOver(socket) ?? false);
  }

  /**
   * A client that waits for `100 Continue` gets it when somebody reads the content; a refusal before that comes without.
   * Whether the content then follows nobody can tell, so the connection ends (RFC 9110 section 10.1.1).
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

  /** Nothing has moved on the connection for a while: it is idle, or its client does not read. */
  #handleQuiet(socket: Socket): void {
    const { bytesRead } = socket;
    // A process that was held up finds the time over before it reads what has come meanwhile.
    setImmediate(() => {
      if (socket.bytesRead !== bytesRead) return;
      const isIdle = ![...this.#responses].some(({ req }) => req.socket === socket);
      if (isIdle || socket.writableLength > 0) socket.destroy();
    });
  }

  /** Bytes that Node's parser refuses: a request that never begins, or the content of one that has begun. */
  #handleBroken(error: ParserError, socket: Duplex): void {
    // The rest of what was refused already.
    if (socket.writableEnded) return;
    const [res, another] = [...this.#responses].filter(({ req }) => req.socket === socket);
    // What comes behind a request that says `Connection: close` is not read (RFC 9112 section 9.6); its answer is owed.
    if (res && error.code === 'HPE_CLOSED_CONNECTION') return;
    // A head that never came, or a client that has gone: nobody waits for a reply.
    if (error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
      socket.destroy();
    } else if (!res) {
      refuse(socket, replyToBroken(error), this.#onRefused);
    } else if (another || res.headersSent || res.req.complete) {
      // An answer is owed to what came before: a refusal would pass for it.
      socket.destroy();
    } else {
      closeAfter(res);
      exchangeOf(res).abort(new BrokenRequestError(error.message, { cause: error }));
    }
  }

  /**
   * Cuts a connection that leaves HTTP while answers are owed on it, and tells whether it did. Node forgets them with
   * the upgrade: nobody else would tell what waits for their end.
   */
  #cutOwing(socket: Duplex): boolean {
    const owed = [...this.#responses].filter(({ req }) => req.socket === socket);
    if (owed.length === 0) return false;
    socket.destroy();
    for (const res of owed) res.emit('close');
    return true;
  }

  /** A request to upgrade runs through the same app: refused, it gets a real HTTP answer. */
  #handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.#cutOwing(socket)) return;
    const res = new this.#classes.ServerResponse(req);
    res.assignSocket(socket);
    closeAfter(res);
    // Not end(): a client that is refused and never closes would keep its permit.
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

/** Closes a connection that there is no room for, as Node does. Those of a trusted proxy count each for itself. */
function admit(socket: Socket, connections: Permits, trusts: (address: string) => boolean): void {
  const { remoteAddress = '', remotePort } = socket;
  const address = rateLimitKey(remoteAddress);
  const permit = connections.tryAcquire(trusts(remoteAddress) ? `${address} ${remotePort}` : address);
  if (isPermit(permit)) socket.once('close', () => permit.release());
  else socket.destroy();
}

/**
 * A request with content is none: Node would hand over something that is not the socket. HTTP/1.0 knows no upgrade (RFC
 * 9110 section 7.8).
 */
function asksForWebSocket({ method, headers, httpVersion }: IncomingMessage): boolean {
  const { upgrade, 'transfer-encoding': coding, 'content-length': length = '0' } = headers;
  if (method !== 'GET' || httpVersion !== '1.1' || coding || Number(length) !== 0) return false;
  return upgrade?.toLowerCase() === 'websocket';
}

/**
 * Drops a client that leaves while nobody reads what it sends, as is so until its upgrade is agreed on. Returns
 * what ends the watch.
 */
function watchForEnd(socket: Socket): () => void {
  // Reads no byte: it only lets the stream find out that none will come.
  const look = () => void socket.read(0);
  const drop = () => socket.destroy();
  socket.on('readable', look).once('end', drop);
  return () => socket.off('readable', look).off('end', drop);
}

/** Runs `callback` when `signal` is aborted, at once if it is already. Returns what ends the wait. */
function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) callback();
  else signal.addEventListener('abort', callback, { once: true });
  return () => signal.removeEventListener('abort', callback);
}

/** Reads what is left of a request that has its answer, but not for ever. Once it is whole, its connection goes on. */
function linger(req: IncomingMessage): void {
  if (req.socket.destroyed) return;
  const cut = setTimeout(() => {
    if (!req.complete) req.socket.destroy();
  }, LINGER_MS).unref();
  req.once('close', () => clearTimeout(cut));
}

function closeAfter(res: ServerResponse): void {
  res.shouldKeepAlive = false;
}
