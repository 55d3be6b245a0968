import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';
import { echo, port, upstream } from './arguments.mjs';

const app = fastify();
app.register(httpProxy, { upstream, prefix: '/budgeting' });
app.register(httpProxy, { upstream: echo, prefix: '/echo', websocket: true });
await app.listen({ host: '127.0.0.1', port: Number(port) });
