import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createRawServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it arrived. */
export interface Received {
  readonly method: string;
  /** Path and query, byte for byte. */
  readonly target: string;
  /** Field lines in order: name, value, name, value. */
  readonly fields: readonly string[];
  /** Empty when the upstream leaves reading to its handler. */
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Which connection it came on, counted from 1. */
  readonly connection: number;
}

/** A service on a free loopback port that remembers exactly what it was asked. */
export interface Upstream extends AsyncDisposable {
  readonly url: URL;
  readonly requests: readonly Received[];
  /** Connections that are open now. */
  readonly open: number;
}

export interface UpstreamOptions {
  /** Loopback address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Whether the content is read before `handler` runs; a handler that reads it itself says false. */
  readonly readsBody?: boolean;
}

/** A real HTTP service; `handler` answers, by default with 200 and `ok`. */
export async function startUpstream(
  handler: RequestListener = (_req, res) => void res.end('ok'),
  { host = '127.0.0.1', port = 0, readsBody = true }: UpstreamOptions = {},
): Promise<Upstream> {
  const requests: Received[] = [];
  const server = createServer({ requireHostHeader: false }, async (req, res) => {
    const connection = numberOf(req.socket);
    const body = readsBody ? await buffer(req).catch(() => Buffer.alloc(0)) : Buffer.alloc(0);
    requests.push({ ...headOf(req), body, trailers: req.rawTrailers, connection });
    handler(req, res);
  });
  const { numberOf, upstream } = await listening(server, host, port);
  return Object.assign(upstream, { requests });
}

/** What a raw upstream does with the head of a request. */
export type RawBehaviour = (socket: Socket, head: string) => void;

export interface RawUpstreamOptions {
  /** Whether it goes on when its peer has ended. Default: it ends, too. */
  readonly allowHalfOpen?: boolean;
}

/** A service that speaks bytes, for what node:http refuses to say. It does not look at a request's content. */
export async function startRawUpstream(
  behaviour: RawBehaviour,
  { allowHalfOpen = false }: RawUpstreamOptions = {},
): Promise<Upstream> {
  const requests: Received[] = [];
  const server = createRawServer({ allowHalfOpen }, (socket) => {
    let unread = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1');
      for (let end = unread.indexOf('\r\n\r\n'); end !== -1; end = unread.indexOf('\r\n\r\n')) {
        const head = unread.slice(0, end);
        unread = unread.slice(end + 4);
        requests.push({ ...parseHead(head), connection: numberOf(socket) });
        behaviour(socket, head);
      }
    });
  });
  const { numberOf, upstream } = await listening(server, '127.0.0.1');
  return Object.assign(upstream, { requests });
}

/** Takes the request and never answers. */
export const hangs: RawBehaviour = () => {};

/** Cuts the connection with RST instead of answering. */
export const resets: RawBehaviour = (socket) => void socket.resetAndDestroy();

/** Answers these bytes and leaves the connection open. */
export function says(bytes: string | Buffer): RawBehaviour {
  return (socket) => void socket.write(bytes, 'latin1');
}

/** Answers these bytes and closes the connection in good order. */
export function saysAndCloses(bytes: string | Buffer): RawBehaviour {
  return (socket) => void socket.end(bytes, 'latin1');
}

/** Answers these bytes, and once the peer has had time to read them, cuts the connection with RST. */
export function saysAndResets(bytes: string | Buffer): RawBehaviour {
  return (socket) => {
    socket.write(bytes, 'latin1', () => setTimeout(() => socket.resetAndDestroy(), 20));
  };
}

/** An address where nobody listens, nor will: a port that was free a moment ago may be the next one somebody is given. */
export function refusedUrl(): URL {
  return new URL('http://127.0.0.1:1');
}

/** Answers with `value` as JSON. */
export function sendJson(res: ServerResponse, value: unknown, status = 200): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function headOf({ method = '', url = '', rawHeaders }: IncomingMessage) {
  return { method, target: url, fields: rawHeaders };
}

function parseHead(head: string): Omit<Received, 'connection'> {
  const [requestLine = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const fields = lines.flatMap((line) => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  return { method, target, fields, body: Buffer.alloc(0), trailers: [] };
}

async function listening(server: Server, host: string, wantedPort = 0) {
  const numbers = new Map<Socket, number>();
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    numbers.set(socket, numbers.size + 1);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(wantedPort, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    numberOf: (socket: Socket) => numbers.get(socket) ?? 0,
    upstream: {
      url: new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`),
      get open() {
        return sockets.size;
      },
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    },
  };
}
