import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express, Response } from 'express';
import { DrainingError } from '../lib/exchange/errors.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { BrokenRequestError } from './errors.ts';
import { type OnRefused, refuse } from './refusal.ts';
import { noService, originForm } from './target.ts';

const MAX_HEADER_BYTES = 16 * 1024;
/** How long a request's head may take to arrive. */
const HEADERS_TIMEOUT_MS = 60_000;

/** Makes what listens: plain HTTP unless somebody gives another. */
export type CreateServer = (options: ServerOptions) => Server;

/** One listening port in front of one app. */
export class GatewayServer {
  readonly #app: Express;
  readonly #onRefused: OnRefused;
  readonly #server: Server;
  /** Requests under way. */
  readonly #responses = new Set<ServerResponse>();
  /** Connections that left HTTP. */
  readonly #upgraded = new Set<Duplex>();
  #draining = false;

  constructor(
    app: Express,
    onRefused: OnRefused = () => {},
    create: CreateServer = (options) => createServer(options),
  ) {
    this.#app = app;
    this.#onRefused = onRefused;
    this.#server = create({
      maxHeaderSize: MAX_HEADER_BYTES,
      // An upload may take as long as it flows; the app's deadline watches it.
      requestTimeout: 0,
      // Said outright: Node's default is the lesser of this and requestTimeout, so 0.
      headersTimeout: HEADERS_TIMEOUT_MS,
      // Node's own reply would be bare; the router refuses such a request.
      requireHostHeader: false,
      // Any other offer to upgrade may be ignored (RFC 9110 section 7.8).
      shouldUpgradeCallback: asksForWebSocket,
    });
    // http-proxy-middleware adds one for each service.
    this.#server.setMaxListeners(0);
    this.#server.on('request', (req, res) => this.#handle(req, res));
    // An expectation that nobody here knows: the request is served without it.
    this.#server.on('checkExpectation', (req, res) => this.#handle(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#handleUpgrade(req, socket as Socket, head));
    this.#server.on('connect', (_req, socket) => {
      if (!this.#cutOwing(socket)) refuse(socket, 'bad_request', onRefused);
    });
    this.#server.on('clientError', (error, socket) => this.#handleBroken(error, socket));
  }

  /** Resolves to the port really taken. Rejects when it cannot be, and after `drain`. */
  async listen(port: number, host: string): Promise<number> {
    const server = this.#server;
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    // A drain that comes first closes what never listened.
    server.once('close', resolve);
    // Left out, '::' becomes 0.0.0.0 on a machine without IPv6.
    if (this.#draining) resolve();
    else server.listen(port, host === '::' ? undefined : host, resolve);
    await settled.finally(() => server.off('error', reject).off('close', resolve));
    if (!server.listening) throw Object.assign(new Error('stopped'), { code: 'ECANCELED' });
    return (server.address() as AddressInfo).port;
  }

  /** Stops accepting, lets requests under way finish, and cuts what is left when `outOfTime` is aborted. */
  async drain(outOfTime: AbortSignal): Promise<void> {
    this.#draining = true;
    for (const res of this.#responses) closeAfter(res);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const cut = () => this.#cut();
    outOfTime.addEventListener('abort', cut, { once: true });
    if (outOfTime.aborted) cut();
    await closed;
    outOfTime.removeEventListener('abort', cut);
  }

  /** A reply where none has begun, then the end of every connection. */
  #cut(): void {
    for (const res of this.#responses) exchangeOf(res as Response).abort(new DrainingError());
    setImmediate(() => {
      for (const socket of this.#upgraded) socket.destroy();
      this.#server.closeAllConnections();
    });
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    this.#responses.add(res);
    res.once('close', () => {
      this.#responses.delete(res);
      // An answer that had promised to keep its connection before the drain began.
      if (this.#draining) setImmediate(() => this.#server.closeIdleConnections());
    });
    // Every stage waits for its end.
    res.setMaxListeners(0);
    if (this.#draining) closeAfter(res);
    const target = req.url ?? '';
    // What cannot be brought into origin-form names no service; Express could not even parse it.
    req.url = originForm(target, req.headers.host) ?? noService(target);
    this.#app(req, res);
  }

  /** Bytes that Node's parser refuses: a request that never begins, or the content of one that has begun. */
  #handleBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    // The rest of what was refused already.
    if (socket.writableEnded) return;
    const [res, another] = [...this.#responses].filter(({ req }) => req.socket === socket);
    // A head that never came, or a client that has gone: nobody waits for a reply.
    if (error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
      socket.destroy();
    } else if (!res) {
      const overflow = error.code === 'HPE_HEADER_OVERFLOW';
      refuse(socket, overflow ? 'headers_too_large' : 'bad_request', this.#onRefused);
    } else if (another || res.headersSent || res.req.complete) {
      // An answer is owed to what came before: a refusal would pass for it.
      socket.destroy();
    } else {
      closeAfter(res);
      exchangeOf(res as Response).abort(new BrokenRequestError(error.message, { cause: error }));
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
    const res = new ServerResponse(req);
    res.assignSocket(socket);
    closeAfter(res);
    // Not end(): a client that is refused and never closes would keep its permit.
    res.once('finish', () => socket.destroySoon());
    socket.on('error', () => socket.destroy());
    res.once('close', watchForEnd(socket));
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    const response = Object.assign(res, { locals: {} }) as Response;
    exchangeOf(response).upgradeHead = head;
    this.#handle(req, res);
  }
}

/** A request with content is none: Node would hand over something that is not the socket. */
function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  const { upgrade, 'transfer-encoding': coding, 'content-length': length = '0' } = headers;
  return method === 'GET' && upgrade?.toLowerCase() === 'websocket' && !coding && Number(length) === 0;
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

function closeAfter(res: ServerResponse): void {
  res.shouldKeepAlive = false;
}
