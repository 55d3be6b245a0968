import express, { type Express } from 'express';
import { z } from 'zod';
import { answerError, bodyAs, HttpError, wholeNumber } from '../httpError.ts';
import { check } from './healthChecks.ts';
import type { Replicas } from './replicas.ts';

const MAX_INCREMENT = 1_000_000_000;

const REGISTRATION = z.object({
  name: z.string().min(1),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  url: z.url(),
  health_check: z.string().startsWith('/').default('/health'),
  request_count: z.int().min(0).default(0),
});

/**
 * The stack's service registry, on the wire as the gateway knows it:
 * - `GET /services`: an array of `{id, name, host, port, url, health_check, status, request_count}`
 * - `PUT /increment?service_id=<id>`, with `&count=n` for many at once (announced by `X-Registry-Features`)
 * - `DELETE /deregister?service_id=<id>`
 * - `POST /register`: what `/services` shows, less `id` and `status`; 200 when it was known, and its count stays
 *
 * `host` is the replica id, as in the stack, where such names resolve. Here they do not, so every replica has a
 * `url` besides, which the stack's registry does not send. An id may also be the `host:port` of that URL.
 */
export function registryApp(replicas: Replicas): Express {
  const app = express();
  app.disable('x-powered-by');
  app.get('/health', (_req, res) => {
    res.json({ status: 'healthy', service: 'registry' });
  });
  app.get('/services', (_req, res) => {
    res.set('X-Registry-Features', 'increment-count').json(replicas.list());
  });
  app.post('/register', express.json(), async (req, res) => {
    const { request_count, ...replica } = bodyAs(REGISTRATION, req.body);
    const isNew = replicas.register(replica, request_count);
    // Checked before it is answered: who registers and is well is in use at once, also after it was not.
    if (replicas.statusOf(replica.host) !== 'healthy') await check(replicas, replica);
    res.status(isNew ? 201 : 200).json({ id: replica.host });
  });
  app.put('/increment', ({ query }, res) => {
    const id = idOf(query.service_id);
    const by = wholeNumber(query.count, { name: 'count', minimum: 1, maximum: MAX_INCREMENT, fallback: 1 });
    const requestCount = replicas.increment(id, by);
    if (requestCount === undefined) throw notRegistered(id);
    res.json({ id, request_count: requestCount });
  });
  app.delete('/deregister', ({ query }, res) => {
    const id = idOf(query.service_id);
    if (!replicas.deregister(id)) throw notRegistered(id);
    res.json({ id, status: 'deregistered' });
  });
  app.use(answerError);
  return app;
}

function idOf(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new HttpError(400, 'service_id is missing: give the id that GET /services shows');
}

function notRegistered(id: string): HttpError {
  return new HttpError(404, `no replica ${id} is registered`);
}
