import { randomUUID } from 'node:crypto';
import { Router } from 'express';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { bodyAs } from '../replica/httpError.ts';
import type { Service } from './contract.ts';

/** The WebSocket close code of a server that is going away. */
const GOING_AWAY = 1001;

const MESSAGE = z.object({ to: z.string().min(1), text: z.string().min(1) });

/** Messages, and a WebSocket at /ws that sends back whatever it is sent. */
export function communication(): Service {
  const unread = [{ id: 'msg_001', to: '123', text: 'Tea at five?' }];
  const routes = Router();
  routes.get('/messages/unread', (_req, res) => {
    res.json({ messages: unread });
  });
  routes.post('/messages', (req, res) => {
    const message = { id: randomUUID(), ...bodyAs(MESSAGE, req.body) };
    unread.push(message);
    res.status(201).json(message);
  });
  return { routes, attach: echoSockets };
}

const echoSockets: Service['attach'] = (server, replica, stopping) => {
  const sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('headers', (headers) => headers.push(`X-Replica: ${replica.id}`));
  sockets.on('connection', (socket) => {
    // A broken frame or connection closes the socket, which is all there is to do about it.
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  stopping.addEventListener('abort', () => {
    for (const socket of sockets.clients) socket.close(GOING_AWAY, 'the service is stopping');
  });
};
