import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import express from 'express';
import { bornAsExpress } from '../../../gateway/http/bornAsExpress.ts';

const app = express();
app.get('/', (req, res) =>
  res.json({ accepts: req.accepts('json'), isRequest: req instanceof IncomingMessage }),
);
const server = createServer(bornAsExpress(app));
afterEach(() => {
  server.close();
});

it('messages have what Express gives them before Express has seen them, and work as ever', async () => {
  const born: boolean[] = [];
  server.on('request', (req, res) => {
    born.push(Object.getPrototypeOf(req) === app.request, Object.getPrototypeOf(res) === app.response);
    born.push(res instanceof ServerResponse);
    app(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(await answer.json()).toEqual({ accepts: 'json', isRequest: true });
  expect(born).toEqual([true, true, true]);
});
