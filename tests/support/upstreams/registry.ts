import type { RequestListener } from 'node:http';
import { registryApp } from '../../../playground/registry/app.ts';
import { Replicas } from '../../../playground/registry/replicas.ts';
import { type Received, startUpstream } from './upstream.ts';

/**
 * A registry whose list the test writes. It is the playground's of the form `document`, which also takes counts, and
 * answers otherwise on request.
 */
export async function startRegistry({ port }: { readonly port?: number } = {}) {
  const replicas = new Replicas();
  const app = registryApp(replicas, { form: 'document', countsIncrements: true });
  const behaviour = { answer: app as RequestListener };
  const server = await startUpstream((req, res) => behaviour.answer(req, res), { readsBody: false, port });
  return {
    url: server.url.origin,
    requests: server.requests as readonly Received[],
    replicas,
    /** Its own answers. */
    app: app as RequestListener,
    /** Lists a replica of `/budgeting` as healthy. */
    list(id: string, { url }: { readonly url: URL }) {
      const port = Number(url.port);
      replicas.register({ name: 'budgeting', host: id, port, url: url.origin, health_check: '/health' });
      replicas.setStatus(id, 'healthy');
    },
    /** What it does from now on; its own answers when left out. */
    answers(listener: RequestListener = app) {
      behaviour.answer = listener;
    },
    /** Requests by method and target. */
    count: (method: string, target: string) =>
      server.requests.filter((request) => request.method === method && request.target === target).length,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export type TestRegistry = Awaited<ReturnType<typeof startRegistry>>;
