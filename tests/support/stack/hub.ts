import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { Router } from 'express';
import { type WebSocket, WebSocketServer } from 'ws';
import { serviceApp } from '../../../playground/replica/service.ts';
import type { Replica } from '../../../playground/services/contract.ts';

/** What ends each message of SignalR's JSON protocol. */
const RECORD_SEPARATOR = '\u001e';
const HUB = '/chatHub';

/**
 * A replica of the communication service: a SignalR hub. Connections are negotiated first, and only the replica that
 * did so knows them: one that connects elsewhere gets a 404, as ASP.NET Core answers it. Messages are echoed.
 */
export function communicationServer(replica: Replica, before: Parameters<typeof serviceApp>[2]): Server {
  const negotiated = new Set<string>();
  const routes = Router();
  routes.post(`${HUB}/negotiate`, (_req, res) => {
    const connectionToken = randomUUID();
    negotiated.add(connectionToken);
    const availableTransports = [{ transport: 'WebSockets', transferFormats: ['Text', 'Binary'] }];
    res.json({ negotiateVersion: 1, connectionId: randomUUID(), connectionToken, availableTransports });
  });
  const server = createServer(serviceApp(replica, routes, before));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    const url = new URL(req.url ?? '', 'http://hub');
    if (url.pathname === HUB && negotiated.delete(url.searchParams.get('id') ?? '')) {
      sockets.handleUpgrade(req, socket, head, (connection) => speak(connection, String(req.url)));
      return;
    }
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  server.once('close', () => {
    for (const socket of sockets.clients) socket.terminate();
  });
  return server;
}

/** The handshake of the protocol, then an echo, with the target as the hub has seen it. */
function speak(connection: WebSocket, target: string): void {
  let shaken = false;
  connection.on('error', () => {});
  connection.on('message', (data) => {
    for (const record of String(data).split(RECORD_SEPARATOR).filter(Boolean)) {
      const reply = shaken ? { type: 1, target: 'echo', arguments: [JSON.parse(record), target] } : {};
      shaken = true;
      connection.send(JSON.stringify(reply) + RECORD_SEPARATOR);
    }
  });
}
