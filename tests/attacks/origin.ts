// One replica of the service that is attacked, as a process of its own: tells its parent its port over IPC.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenFor } from '../support/gateway/gateway.ts';

const MISSING_STATUS = 404;
const LARGE_FIELDS = Array.from({ length: 5 }, (_, n) => `session${n}=${'x'.repeat(4096)}`);

type Respond = (req: IncomingMessage, res: ServerResponse, query: URLSearchParams) => void | Promise<void>;

const responses: Readonly<Record<string, Respond>> = {
  '/ok': (_req, res) => void res.setHeader('Cache-Control', 'no-store').end('ok'),
  '/kept': (_req, res) => void res.setHeader('Cache-Control', 'max-age=600').end('kept'),
  '/varies': (_req, res) =>
    void res.setHeader('Cache-Control', 'public, max-age=600').setHeader('Vary', 'Origin').end('varies'),
  '/missing': (_req, res) => void res.writeHead(MISSING_STATUS).end('missing'),
  '/fails': (_req, res) => void res.writeHead(500).end('it failed'),
  '/unknown': (_req, res) => void res.writeHead(501).end('not implemented'),
  '/large-head': (_req, res) => void res.setHeader('Set-Cookie', LARGE_FIELDS).end('ok'),
  '/tears': (_req, res) => {
    res.writeHead(200, { 'Content-Length': '100' });
    res.write('not a hundred bytes', () => res.destroy());
  },
  '/resets': (req) => void req.socket.resetAndDestroy(),
  '/cuts': (req, res) => {
    res.writeHead(413, { Connection: 'close' }).end('too much', () => req.socket.destroy());
  },
  '/events': (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: first\n\n');
  },
  '/slow': async (_req, res, query) => {
    await sleep(Number(query.get('ms')));
    if (!res.destroyed) res.end('slow');
  },
  '/echo': (req, res) => void req.pipe(res),
  '/auth/login': (req, res) => {
    req.resume().once('end', () => {
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({ access_token: tokenFor('somebody', { iat: Math.floor(Date.now() / 1000) }) }));
    });
  },
  '/auth/logout': (req, res) => {
    req.resume().once('end', () => res.end('{}'));
  },
};

const server = createServer((req, res) => {
  req.on('error', () => {});
  res.on('error', () => {});
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://origin');
  const respond = responses[pathname];
  if (respond) void respond(req, res, searchParams);
  else res.writeHead(MISSING_STATUS).end();
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
