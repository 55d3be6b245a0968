import { createServer, type Server } from 'node:http';
import express, { type Express, type RequestHandler, type Router } from 'express';
import { registryNameOf, type ServiceName } from '../catalogue.ts';
import { common } from '../services/common.ts';
import type { Replica } from '../services/contract.ts';
import { SERVICES } from '../services/index.ts';
import { streams } from '../services/streams.ts';
import { answerError } from './httpError.ts';

const REPLICA_ID_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const REPLICA_ID_LENGTH = 25;

/** A new id, as the stack's containers get one whenever they start. */
export function replicaIdOf(service: ServiceName, number: number, random = Math.random): string {
  const suffix = Array.from(
    { length: REPLICA_ID_LENGTH },
    () => REPLICA_ID_CHARACTERS[Math.floor(random() * REPLICA_ID_CHARACTERS.length)],
  );
  return `padstack_${registryNameOf(service)}-service.${number}.${suffix.join('')}`;
}

/**
 * The replica's server, not listening yet; `before` sees each request first. Rejects when `env` lacks something
 * that the service needs.
 */
export async function serverFor(
  replica: Replica,
  env: NodeJS.ProcessEnv,
  stopping: AbortSignal,
  before: readonly RequestHandler[] = [],
): Promise<Server> {
  const { routes, attach } = await SERVICES[replica.service](env);
  const server = createServer(serviceApp(replica, routes, before));
  attach?.(server, replica, stopping);
  return server;
}

/** The base of all ten: every answer names its replica, and the diagnostic endpoints stand beside its own. */
export function serviceApp(
  replica: Replica,
  routes: Router,
  before: readonly RequestHandler[] = [],
): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(function replicaMiddleware(_req, res, next) {
    res.setHeader('X-Replica', replica.id);
    next();
  });
  // Before the JSON parser: these read bodies as they are.
  app.use(...before, common(replica), streams());
  app.use(express.json(), routes);
  app.use(function notFound(req, res) {
    res.status(404).json({ error: `${replica.service} has no ${req.method} ${req.path}` });
  });
  app.use(answerError);
  return app;
}
