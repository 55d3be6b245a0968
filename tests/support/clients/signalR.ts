import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket, WebSocketServer } from 'ws';
import { bearer } from '../gateway/gateway.ts';
import { answerTo, call, open } from './client.ts';

/** Ends every message of SignalR's JSON protocol. */
const END = '\x1e';
const HANDSHAKE = `{"protocol":"json","version":1}${END}`;

/** A SignalR hub at `/hubs/chat`: negotiation, WebSockets and server-sent events, each message sent back to its sender. */
export interface Hub extends AsyncDisposable {
  readonly url: URL;
  /** All requests so far. */
  readonly requests: readonly HubRequest[];
  /** Connections that are open now. */
  readonly open: number;
}

export interface HubRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** Where the hub sends to one of its clients. */
type Send = (message: string) => void;

/** @param more answers what is no request to the hub */
export async function startHub(
  more: (req: IncomingMessage, res: ServerResponse) => void = (_req, res) => void res.writeHead(404).end(),
): Promise<Hub> {
  const requests: HubRequest[] = [];
  /** By connection token; undefined between negotiation and connection. */
  const connections = new Map<string, Send | undefined>();
  const note = ({ method = '', url = '', headers }: IncomingMessage) => {
    requests.push({ method, target: url, headers });
    return new URL(url, 'http://hub');
  };
  const connect = (id: string, send: Send) => connections.set(id, send);
  const receive = (id: string, messages: string) => {
    for (const message of messages.split(END).filter(Boolean)) {
      connections.get(id)?.('protocol' in JSON.parse(message) ? `{}${END}` : message + END);
    }
  };

  const server = createServer(async (req, res) => {
    const { pathname, searchParams } = note(req);
    const id = searchParams.get('id') ?? '';
    if (req.method === 'POST' && pathname === '/hubs/chat/negotiate') {
      const token = `connection-${connections.size + 1}`;
      connections.set(token, undefined);
      res.end(JSON.stringify({ negotiateVersion: 1, connectionId: 'public', connectionToken: token }));
    } else if (pathname !== '/hubs/chat') {
      more(req, res);
    } else if (!connections.has(id)) {
      res.writeHead(404).end('No Connection with that ID');
    } else if (req.method === 'POST') {
      receive(id, await text(req));
      res.end();
    } else {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache,no-store' });
      res.write(':\r\n\r\n');
      connect(id, (message) => res.write(`data: ${message}\r\n\r\n`));
      res.once('close', () => connections.delete(id));
    }
  });
  const webSockets = new WebSocketServer({
    server,
    verifyClient: ({ req }: { req: IncomingMessage }, done: (verified: boolean, code?: number) => void) => {
      const { searchParams } = note(req);
      done(connections.has(searchParams.get('id') ?? ''), 404);
    },
  });
  webSockets.on('connection', (socket, { url = '' }) => {
    const id = new URL(url, 'http://hub').searchParams.get('id') ?? '';
    socket.on('error', () => {});
    socket.on('message', (data) => receive(id, String(data)));
    socket.once('close', () => connections.delete(id));
    connect(id, (message) => socket.send(message));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    requests,
    get open() {
      return [...connections.values()].filter(Boolean).length;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of webSockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const TRANSPORTS = ['webSockets', 'serverSentEvents'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** A connection to a hub. */
export interface SignalR extends Disposable {
  /** Messages so far, without what ends them. */
  readonly received: readonly string[];
  /** Whether the other side has ended it. */
  readonly ended: boolean;
  send(message: string): Promise<void>;
}

/**
 * Connects as the JavaScript client of SignalR does in a browser: it negotiates with an `Authorization` field, and puts the
 * token into the query where a page can set no field: for the WebSocket, and for an `EventSource`. Rejects when either
 * is refused.
 *
 * @param hubUrl the hub's URL without a query
 */
export async function connectSignalR(hubUrl: string, token: string, transport: Transport): Promise<SignalR> {
  const negotiated = await call(`${hubUrl}/negotiate?negotiateVersion=1`, {
    method: 'POST',
    headers: { ...bearer(token), 'Content-Type': 'text/plain;charset=UTF-8' },
  });
  if (negotiated.status !== 200) throw new Error(`negotiate: ${negotiated.status}`);
  const { connectionToken } = JSON.parse(negotiated.body.toString());
  const url = `${hubUrl}?id=${connectionToken}`;
  const withToken = `${url}&access_token=${encodeURIComponent(token)}`;
  const connected = await (transport === 'webSockets'
    ? overWebSocket(withToken)
    : overEvents(url, withToken, token));
  await connected.send(HANDSHAKE.slice(0, -1));
  return connected;
}

async function overWebSocket(url: string): Promise<SignalR> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'));
  const received: string[] = [];
  let ended = false;
  socket.on('message', (data) => received.push(...messagesIn(String(data))));
  socket.once('close', () => {
    ended = true;
  });
  await once(socket, 'open');
  socket.on('error', () => {});
  return {
    received,
    get ended() {
      return ended;
    },
    send: async (message) => socket.send(message + END),
    [Symbol.dispose]: () => socket.terminate(),
  };
}

async function overEvents(url: string, withToken: string, token: string): Promise<SignalR> {
  const req = open(withToken, {
    headers: { Accept: 'text/event-stream', 'Cache-Control': 'no-cache' },
  }).end();
  const res = await answerTo(req);
  if (res.statusCode !== 200) throw new Error(`events: ${res.statusCode}`);
  let stream = '';
  res.setEncoding('utf8').on('data', (piece) => {
    stream += piece;
  });
  res.on('error', () => {});
  return {
    get received() {
      const lines = stream.split('\r\n').filter((line) => line.startsWith('data: '));
      return lines.flatMap((line) => messagesIn(line.slice('data: '.length)));
    },
    get ended() {
      return res.closed;
    },
    async send(message) {
      const sent = await call(url, { method: 'POST', headers: bearer(token), body: message + END });
      if (sent.status !== 200) throw new Error(`send: ${sent.status}`);
    },
    [Symbol.dispose]: () => void req.destroy(),
  };
}

function messagesIn(data: string): string[] {
  return data.split(END).filter(Boolean);
}
