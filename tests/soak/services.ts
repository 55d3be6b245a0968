import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startOrigin } from '../attacks/trial.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

const LARGE = Buffer.alloc(512 * 1024, 'x');

/** Echoes content; `/large` is more than the buffers on the way hold. */
const good: RequestListener = (req, res) => {
  if (req.method === 'POST') req.pipe(res);
  else if (req.url?.startsWith('/large')) res.end(LARGE);
  else res.setHeader('Cache-Control', 'public, max-age=1').end('ok');
  req.on('error', () => {});
};

/** Each path is a fault of its own. */
const faults: Readonly<Record<string, RequestListener>> = {
  '/fails': (_req, res) => void res.writeHead(500).end('it failed'),
  '/hangs': () => {},
  '/resets': (req) => void req.socket.resetAndDestroy(),
  '/tears': (_req, res) => {
    res.writeHead(200, { 'Content-Length': '100' });
    res.write('not a hundred bytes', () => res.destroy());
  },
};

/** Not those of `tests/support`: they remember every request. */
async function start(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What the gateway stands in front of: `/good`, `/faulty`, `/chat`, and `/shop`, which is attacked. */
export async function startServices() {
  const stack = new AsyncDisposableStack();
  const healthy = stack.use(await start(good));
  const faulty = stack.use(await start((req, res) => faults[req.url ?? '']?.(req, res)));
  const chat = stack.use(await startSocketService());
  const shop = await startOrigin(stack);
  const services = {
    '/good': { upstreams: [healthy], requestTimeout: '30s' },
    '/faulty': { upstreams: [faulty], requestTimeout: '300ms' },
    '/chat': { upstreams: [chat], requestTimeout: '30s' },
    '/shop': { upstreams: [shop], requestTimeout: '3s' },
  };
  return { services, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
