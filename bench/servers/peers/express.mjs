// Bare Express: the constant bytes that the gateway answers as well, and nothing else.
import express from 'express';
import { problem } from '../../../gateway/errors/problem.ts';
import { KIB } from '../content.ts';
import { port } from './arguments.mjs';

const REQUEST_ID = '3f0d6a52-41f2-4f0e-9b9e-6d9f3c1f2b11';
const app = express();
answer('/budgeting', 200, 'application/json', KIB);
answer('/unauthorized', 401, 'application/problem+json', problem('token_missing', REQUEST_ID));
answer('/busy', 429, 'application/problem+json', problem('service_busy', REQUEST_ID));
app.listen(Number(port), '127.0.0.1');

function answer(path, status, type, body) {
  app.use(path, (_req, res) => {
    res.status(status).type(type).send(body);
  });
}
