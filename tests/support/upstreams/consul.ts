import type { RequestListener } from 'node:http';
import { startUpstream } from './upstream.ts';

const CATALOG = '/v1/catalog/services';

/** One entry of Consul's health API, as `GET /v1/health/service/:service` documents it, less what nobody reads. */
export interface ConsulEntry {
  readonly Node: { readonly Node: string; readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Service: string;
    readonly Address: string;
    readonly Port: number;
  };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

/** Consul's health API and catalog with blocking queries, as documented: Debian has no package of Consul itself. */
export async function startConsul({ showsCatalog = true } = {}) {
  const entries = new Map<string, readonly ConsulEntry[]>();
  const waiting = new Set<() => void>();
  const tokens: (string | undefined)[] = [];
  let index = 10;

  const answer: RequestListener = (req, res) => {
    const url = new URL(req.url ?? '', 'http://consul');
    const [, service = ''] = /^\/v1\/health\/service\/([^/]+)$/.exec(url.pathname) ?? [];
    const reply = () => {
      res.setHeader('X-Consul-Index', String(index));
      res.setHeader('Content-Type', 'application/json');
      const listed = [...entries].filter(([, ofService]) => ofService.length > 0);
      const catalog = Object.fromEntries(listed.map(([name]) => [name, []]));
      res.end(JSON.stringify(url.pathname === CATALOG ? catalog : (entries.get(service) ?? [])));
    };
    if (url.pathname === CATALOG && !showsCatalog) return void res.writeHead(403).end();
    tokens.push(req.headers['x-consul-token']?.toString());
    if (Number(url.searchParams.get('index') ?? 0) < index) return reply();
    waiting.add(reply);
    res.once('close', () => waiting.delete(reply));
  };
  const server = await startUpstream(answer);

  return {
    url: server.url.origin,
    tokens,
    /** Queries that are held back. */
    get blocked() {
      return waiting.size;
    },
    /** Something has changed: whoever waits is answered. */
    set(service: string, now: readonly ConsulEntry[], { indexFrom = index } = {}) {
      entries.set(service, now);
      index = indexFrom + 1;
      for (const reply of [...waiting]) reply();
      waiting.clear();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export function consulEntry(
  service: string,
  id: string,
  port: number,
  statuses: readonly string[] = ['passing'],
): ConsulEntry {
  return {
    Node: { Node: 'n1', Address: '127.0.0.1' },
    Service: { ID: id, Service: service, Address: '', Port: port },
    Checks: statuses.map((Status, i) => ({ CheckID: `check:${i}`, Status })),
  };
}
