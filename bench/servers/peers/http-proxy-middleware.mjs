import { Agent } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { port, routes } from './arguments.mjs';

// Its documents ask for an agent that keeps connections; without one it opens one for each request.
const agent = new Agent({ keepAlive: true });
const app = express();
const proxies = new Map();
for (const { prefix, target } of routes) {
  const proxy = createProxyMiddleware({ target, agent });
  proxies.set(prefix, proxy);
  app.use(prefix, proxy);
}
const server = app.listen(Number(port), '127.0.0.1');
server.on('upgrade', (req, socket, head) => {
  req.url = req.url.slice('/echo'.length);
  proxies.get('/echo').upgrade(req, socket, head);
});
