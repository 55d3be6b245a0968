import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';

/** What ends each message of SignalR's JSON protocol. */
const END = '\u001e';
/** How long a poll without news is held. ASP.NET Core has 90 s. */
const POLL_MS = 400;
const TRANSPORTS = [
  { transport: 'WebSockets', transferFormats: ['Text', 'Binary'] },
  { transport: 'ServerSentEvents', transferFormats: ['Text'] },
  { transport: 'LongPolling', transferFormats: ['Text', 'Binary'] },
];

/** One connection of a hub, of whatever transport. What it knows, no other process knows. */
class Connection {
  #isShaken = false;
  #calls = 0;
  #pending = '';
  /** Sends at once, where the transport can. */
  push: ((data: string) => void) | undefined;
  /** Ends the poll that is held. */
  wake: (() => void) | undefined;
  /** Whether the first poll, which only says that the connection stands, is answered. */
  isPolled = false;

  receive(messages: string): void {
    for (const message of messages.split(END).filter(Boolean)) {
      const { type, target, invocationId } = JSON.parse(message);
      if (!this.#isShaken) {
        this.#isShaken = true;
        this.#send({});
      } else if (type === 1 && target === 'where') {
        this.#calls += 1;
        this.#send({ type: 3, invocationId, result: { pid: process.pid, calls: this.#calls } });
      }
    }
  }

  take(): string {
    const taken = this.#pending;
    this.#pending = '';
    return taken;
  }

  #send(message: object): void {
    this.#pending += JSON.stringify(message) + END;
    if (this.push) this.push(this.take());
    else this.wake?.();
  }
}

/**
 * A SignalR hub as ASP.NET Core speaks it (its TransportProtocols and HubProtocol documents): a connection is negotiated and then
 * opened over WebSockets, server-sent events or long polling, and only the process that negotiated it knows it: elsewhere it is a 404.
 */
export function signalRServer(hub: string): Server {
  const connections = new Map<string, Connection>();
  const server = createServer((req, res) => void serve(hub, connections, req, res));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    const { searchParams } = new URL(req.url ?? '', 'http://hub');
    const connection = connections.get(searchParams.get('id') ?? '');
    if (!connection) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(req, socket, head, (webSocket) => {
      webSocket.on('error', () => {});
      webSocket.on('message', (data) => connection.receive(String(data)));
      connection.push = (data) => webSocket.send(data);
    });
  });
  return server;
}

async function serve(
  hub: string,
  connections: Map<string, Connection>,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(req.url ?? '', 'http://hub');
  if (req.method === 'POST' && pathname === `${hub}/negotiate`) return negotiate(res, connections);
  if (pathname !== hub) return void res.writeHead(404).end();
  const id = searchParams.get('id');
  if (id === null) return void res.writeHead(400).end('Connection ID required');
  const connection = connections.get(id);
  if (!connection) return void res.writeHead(404).end('No Connection with that ID');
  if (req.method === 'DELETE') {
    connections.delete(id);
    connection.wake?.();
    res.writeHead(202).end();
  } else if (req.method === 'POST') {
    connection.receive(await text(req));
    res.writeHead(200).end();
  } else if (req.headers.accept?.includes('text/event-stream')) events(req, res, connection);
  else poll(res, connection, () => connections.has(id));
}

function negotiate(res: ServerResponse, connections: Map<string, Connection>): void {
  const connectionToken = randomUUID();
  connections.set(connectionToken, new Connection());
  res.setHeader('Content-Type', 'application/json');
  res.end(
    JSON.stringify({
      negotiateVersion: 1,
      connectionId: randomUUID(),
      connectionToken,
      availableTransports: TRANSPORTS,
    }),
  );
}

function events(req: IncomingMessage, res: ServerResponse, connection: Connection): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache,no-store' });
  res.write(':\r\n\r\n');
  connection.push = (data) => res.write(`data: ${data}\r\n\r\n`);
  req.once('close', () => {
    connection.push = undefined;
  });
}

function poll(res: ServerResponse, connection: Connection, isOpen: () => boolean): void {
  const answer = () => {
    clearTimeout(timer);
    connection.wake = undefined;
    res.writeHead(isOpen() ? 200 : 204, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' });
    res.end(isOpen() ? connection.take() : undefined);
  };
  const timer = setTimeout(answer, POLL_MS);
  const data = connection.take();
  if (!connection.isPolled || data !== '') {
    connection.isPolled = true;
    clearTimeout(timer);
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' }).end(data);
    return;
  }
  connection.wake = answer;
}
