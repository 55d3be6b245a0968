import { once } from 'node:events';
import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import express from 'express';
import { type Exchange, exchangeOf } from '../../../lib/exchange/exchange.ts';

/** An Express app with nothing in it but the middlewares under test, listening on a free port. */
export interface BareApp extends AsyncDisposable {
  readonly url: URL;
  /** What middlewares have handed to `next`, in order. */
  readonly errors: readonly Error[];
  /** The exchange of each request so far. */
  readonly exchanges: readonly Exchange[];
  /** The answer side of each request so far. */
  readonly responses: readonly Response[];
}

export interface BareAppOptions {
  /** `express` leaves errors to Express's own last handler; the default replies with status and code. */
  readonly errors?: 'recorded' | 'express';
  /** Whether requests to upgrade reach the app, the way gateway/http/server.ts hands them over. Default false. */
  readonly upgrades?: boolean;
}

/** Serves `handlers` in order; what none of them answers is a 404. */
export async function bareApp(
  handlers: RequestHandler | readonly RequestHandler[],
  { errors: mode = 'recorded', upgrades = false }: BareAppOptions = {},
): Promise<BareApp> {
  const errors: Error[] = [];
  const responses: Response[] = [];
  const exchanges: Exchange[] = [];
  const app = express().disable('x-powered-by').disable('etag').set('env', 'test');
  app.use((_req, res, next) => {
    responses.push(res);
    exchanges.push(exchangeOf(res));
    next();
  });
  app.use([handlers].flat());
  if (mode === 'recorded') app.use(recorder(errors));
  const server = createServer(app);
  if (upgrades)
    server.on('upgrade', (req, socket, head) => app(req, upgradable(req, socket as Socket, head)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    errors,
    responses,
    exchanges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers 200 with `body`. */
export function answers(body = 'ok'): RequestHandler {
  return (_req, res) => void res.end(body);
}

function recorder(errors: Error[]): ErrorRequestHandler {
  return (error, _req, res, _next) => {
    errors.push(error);
    if (res.headersSent) res.destroy();
    else res.status(error.status ?? 500).json({ code: error.code, message: error.message });
  };
}

function upgradable(req: IncomingMessage, socket: Socket, head: Buffer): Response {
  const res = new ServerResponse(req);
  res.assignSocket(socket);
  res.shouldKeepAlive = false;
  res.once('finish', () => socket.destroySoon());
  socket.on('error', () => socket.destroy());
  const response = Object.assign(res, { locals: {} }) as unknown as Response;
  exchangeOf(response).upgradeHead = head;
  return response;
}
