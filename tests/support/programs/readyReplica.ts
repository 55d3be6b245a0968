import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * One replica of a service that says at `/ready` whether it is ready: `node readyReplica.ts <port>`. Tells its parent its
 * port. It is a stickler: whoever asks it for anything else while it starts or after it has said for long enough that it
 * ends gets 500.
 */
const STARTS_FOR_MS = 300;
/** Between the first 503 and the moment when it refuses everybody. */
const SAYS_SO_FOR_MS = 1_500;

const [, , port = '0'] = process.argv;
let [isReady, serves] = [false, false];

const server = createServer((req, res) => {
  if (req.url === '/ready') return void res.writeHead(isReady ? 200 : 503).end();
  // Looked at when the request arrives: one that is under way ends well.
  const status = serves ? 200 : 500;
  req.resume().once('end', () => setTimeout(() => res.writeHead(status).end('ok'), 20 * Math.random()));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port);
  setTimeout(() => {
    [isReady, serves] = [true, true];
  }, STARTS_FOR_MS);
});
process.once('SIGTERM', () => {
  isReady = false;
  setTimeout(() => {
    serves = false;
    server.close(() => process.exit());
    setTimeout(() => process.exit(), 500);
  }, SAYS_SO_FOR_MS);
});
process.once('disconnect', () => process.exit());
