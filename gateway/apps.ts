import express, { type Express } from 'express';
import { observe } from '../lib/metrics/middleware.ts';
import { accessLog, errorLog } from './accessLog.ts';
import { adminRoutes } from './admin.ts';
import { errorReplies } from './errors.ts';
import type { Parts } from './parts.ts';
import type { Port } from './port.ts';
import { createRouter } from './router.ts';
import {
  admit,
  authenticate,
  balance,
  breaker,
  cache,
  deadline,
  failover,
  forward,
  type Stage,
} from './stages.ts';
import { wellKnown } from './wellKnown.ts';

/** One try at one replica. Failover may run it a second time, for another replica. */
export const attempt: readonly Stage[] = [balance, breaker, forward];

/** What a user's request to a service meets, in run order. Before it every request is observed and resolved. */
export const externalChain: readonly Stage[] = [
  deadline, // before admit: who waits for a permit waits no longer than for an answer
  admit, // before authenticate: a flood of bad tokens costs permits, not signatures
  authenticate, // before cache: entries belong to an identity
  cache, // before balance: a hit calls nobody
  failover(attempt),
];

/** What a service's request to another meets: no limits, no tokens, no cache. */
export const internalChain: readonly Stage[] = [deadline, failover(attempt)];

/** Port 8000, for users. */
export function externalApp(parts: Parts): Express {
  return gatewayApp(parts, 'external', '', externalChain);
}

/** Port 8001, for services calling each other under `/internal/<service>/...`, and for operators. Never expose it. */
export function internalApp(parts: Parts): Express {
  return gatewayApp(parts, 'internal', '/internal', internalChain);
}

function gatewayApp(parts: Parts, port: Port, mount: string, chain: readonly Stage[]): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  app.use(wellKnown(parts));
  app.use(observe({ ...accessLog({ port, ...parts }), clock: parts.clock }));
  if (port === 'internal') app.use(adminRoutes(parts));
  app.use(
    createRouter({
      services: parts.services,
      mount,
      chainFor: (service) => chain.map((stage) => stage({ port, parts, service })),
    }),
  );
  app.use(errorReplies(errorLog({ port, ...parts })));
  return app;
}
