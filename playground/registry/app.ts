import express, { type Express } from 'express';
import { z } from 'zod';
import { answerError, bodyAs, HttpError, wholeNumber } from '../replica/httpError.ts';
import { DEFAULT_REGISTRY_FORM, type RegistryForm } from './forms.ts';
import { check } from './healthChecks.ts';
import type { Replicas } from './replicas.ts';

const MAX_INCREMENT = 1_000_000_000;

const REGISTRATION = z.object({
  name: z.string().min(1),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  url: z.url().optional(),
  health_check: z.string().default('/health'),
});

export interface RegistryAppOptions {
  /** Which release of the stack's registry it is. Default: `stack`. */
  readonly form?: RegistryForm;
  /**
   * Whether increments may carry `&count=n` for many requests at once, which it then announces by
   * `X-Registry-Features`. The stack's registry does not know that. Default: false.
   */
  readonly countsIncrements?: boolean;
}

/**
 * The stack's service registry, on the wire as the gateway finds it there:
 * - `POST /register {name, host, port, health_check}`: 201 with `id`, a UUID, `registered_at` and `status`. Whoever is
 *   registered anew has a new id, and begins at 0
 * - `GET /services`, `GET /services?name=`: an array of `{id, name, host, port, health_check, registered_at, status,
 *   last_check, request_count, message}`, `null` when there is nobody
 * - `GET /gateway/services?name=`: `{name, instances, total, healthy}`
 * - of the form `stack`: `PUT /services/increment?id=<id>`, `DELETE /deregister?id=<host>`
 * - of the form `document`: `PUT /increment?service_id=<host>`, `DELETE /deregister?service_id=<host>`
 *
 * In the stack hosts are the names of tasks, which resolve there. Here they do not, so every replica has a `url`
 * besides, which the stack's registry does not send.
 */
export function registryApp(
  replicas: Replicas,
  { form = DEFAULT_REGISTRY_FORM, countsIncrements = false }: RegistryAppOptions = {},
): Express {
  const app = express();
  app.disable('x-powered-by');
  app.get('/health', (_req, res) => {
    res.json({ status: 'healthy' });
  });
  app.get('/services', ({ query }, res) => {
    if (countsIncrements) res.set('X-Registry-Features', 'increment-count');
    const listed = replicas.list(nameIn(query.name));
    res.json(listed.length > 0 ? listed : null);
  });
  app.get('/gateway/services', ({ query }, res) => {
    const name = nameIn(query.name);
    const listed = replicas.list(name);
    const instances = listed.map(({ id, host, port, status, request_count }) => ({
      ...{ id, host, port, status, request_count },
    }));
    const healthy = instances.filter(({ status }) => status === 'healthy').length;
    res.json({ name, instances, total: instances.length, healthy });
  });
  app.post('/register', express.json(), async (req, res) => {
    const replica = replicas.register(bodyAs(REGISTRATION, req.body));
    // Checked before it is answered: who registers and is well is listed as healthy at once.
    await check(replicas, replica);
    res.status(201).json({ ...replica, status: replicas.statusOf(replica.id) ?? 'unknown' });
  });
  if (form === 'stack') addStackCalls(app, replicas, countsIncrements);
  else addDocumentCalls(app, replicas, countsIncrements);
  app.use(answerError);
  return app;
}

function addStackCalls(app: Express, replicas: Replicas, countsIncrements: boolean): void {
  app.put('/services/increment', ({ query }, res) => {
    const id = given('id', query.id);
    if (!replicas.incrementById(id, countIn(query.count, countsIncrements))) throw notRegistered(id);
    res.json({ message: 'Request count incremented' });
  });
  app.delete('/deregister', ({ query }, res) => {
    const host = given('id', query.id);
    if (!replicas.deregister(host)) throw notRegistered(host);
    res.json({ message: 'Service deregistered' });
  });
}

function addDocumentCalls(app: Express, replicas: Replicas, countsIncrements: boolean): void {
  app.put('/increment', ({ query }, res) => {
    const host = given('service_id', query.service_id);
    if (!replicas.incrementByHost(host, countIn(query.count, countsIncrements))) throw notRegistered(host);
    res.json({ message: 'Request count incremented' });
  });
  app.delete('/deregister', ({ query }, res) => {
    const host = given('service_id', query.service_id);
    if (!replicas.deregister(host)) throw notRegistered(host);
    res.json({ message: 'Service deregistered' });
  });
}

function nameIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function countIn(value: unknown, countsIncrements: boolean): number {
  if (!countsIncrements) return 1;
  return wholeNumber(value, { name: 'count', minimum: 1, maximum: MAX_INCREMENT, fallback: 1 });
}

function given(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new HttpError(400, `${name} is missing`);
}

function notRegistered(idOrHost: string): HttpError {
  return new HttpError(404, `no replica ${idOrHost} is registered`);
}
