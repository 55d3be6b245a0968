// The service behind everything that is measured, as far as nginx is not: `node upstream.ts PORT`. It answers GET and
// POST with 1 KiB of JSON, `/mib` with 1 MiB, echoes WebSocket messages, and never answers `/hold`.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { KIB, MIB } from './content.ts';

const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 0 }, (req, res) => {
  if (req.url?.startsWith('/hold')) return;
  const body = req.url === '/mib' ? MIB : KIB;
  req.resume().on('end', () => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
  });
});
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (message, binary) => socket.send(message, { binary }));
});
server.listen(Number(process.argv[2]), '127.0.0.1');
