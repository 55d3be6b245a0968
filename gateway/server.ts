import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Express, Response } from 'express';
import { DrainingError } from '../lib/exchange/errors.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { problem, REPLIES, type ReplyCode } from './errors.ts';
import { originForm } from './target.ts';

const MAX_HEADER_BYTES = 16 * 1024;

/** One listening port in front of one app. */
export class GatewayServer {
  readonly #app: Express;
  readonly #server: Server;
  /** Requests under way. */
  readonly #responses = new Set<ServerResponse>();
  /** Connections that left HTTP. */
  readonly #upgraded = new Set<Duplex>();
  #draining = false;

  constructor(app: Express) {
    this.#app = app;
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      // An upload may take as long as it flows; the app's deadline watches it.
      requestTimeout: 0,
    });
    this.#server.on('request', (req, res) => this.#handle(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#handleUpgrade(req, socket as Socket, head));
    this.#server.on('clientError', refuseBrokenRequest);
  }

  /** Resolves to the port really taken. Rejects when it cannot be. */
  listen(port: number, host: string): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // Left out, '::' becomes 0.0.0.0 on a machine without IPv6.
      server.listen(port, host === '::' ? undefined : host, () => {
        server.off('error', reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  /** Stops accepting, lets requests under way finish, and cuts what is left when `outOfTime` is aborted. */
  async drain(outOfTime: AbortSignal): Promise<void> {
    this.#draining = true;
    for (const res of this.#responses) closeAfter(res);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = () => this.#cut();
    outOfTime.addEventListener('abort', cut, { once: true });
    if (outOfTime.aborted) cut();
    await closed;
    outOfTime.removeEventListener('abort', cut);
  }

  /** A reply where none has begun, then the end of every connection. */
  #cut(): void {
    for (const res of this.#responses) exchangeOf(res as Response).abort(new DrainingError());
    for (const socket of this.#upgraded) socket.destroy();
    setImmediate(() => this.#server.closeAllConnections());
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    this.#responses.add(res);
    res.once('close', () => this.#responses.delete(res));
    if (this.#draining) closeAfter(res);
    // What cannot be brought into origin-form stays, and names no service.
    req.url = originForm(req.url ?? '', req.headers.host) ?? req.url;
    this.#app(req, res);
  }

  /** A request to upgrade runs through the same app: refused, it gets a real HTTP answer. */
  #handleUpgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    const res = new ServerResponse(req);
    res.assignSocket(socket);
    closeAfter(res);
    res.once('finish', () => socket.end());
    socket.on('error', () => socket.destroy());
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    const response = Object.assign(res, { locals: {} }) as Response;
    exchangeOf(response).upgradeHead = head;
    this.#handle(req, res);
  }
}

function closeAfter(res: ServerResponse): void {
  res.shouldKeepAlive = false;
}

/** What Node's parser refuses never becomes a request: answer on the bare socket and close it. */
function refuseBrokenRequest(error: Error, socket: Duplex): void {
  if (!socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
    socket.destroy();
    return;
  }
  const overflow = 'code' in error && error.code === 'HPE_HEADER_OVERFLOW';
  const code: ReplyCode = overflow ? 'headers_too_large' : 'bad_request';
  const { status, proxyError } = REPLIES[code];
  const body = problem(code, '');
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json',
      `Proxy-Status: gateway; error=${proxyError}; details="${code}"`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
