import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server as SocketIo } from 'socket.io';
import { signalRServer } from './signalRServer.ts';

/**
 * One replica of a service that keeps sessions in its memory: `node sessionReplica.ts signalr|socketio`. Tells its parent its port,
 * and when asked how many requests it has refused because it did not know their session.
 */
const server = process.argv[2] === 'signalr' ? signalRServer('/hub') : socketIoServer();
let refused = 0;
server.on('request', (_req, res) => {
  res.once('finish', () => {
    if (res.statusCode >= 400) refused += 1;
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('message', () => process.send?.({ refused }));
process.once('disconnect', () => process.exit());

function socketIoServer(): Server {
  const http = createServer();
  const io = new SocketIo(http, { path: '/socket.io', pingInterval: 300, pingTimeout: 5000 });
  io.on('connection', (socket) => {
    let calls = 0;
    socket.on('where', (reply: (result: object) => void) => {
      calls += 1;
      reply({ pid: process.pid, calls });
    });
  });
  return http;
}
