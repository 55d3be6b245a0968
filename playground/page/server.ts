import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { LOOPBACK, portOf } from '../ports.ts';

/** Hosts by which people open the page, and by which the page then calls the gateway. */
const HOSTS = [LOOPBACK, 'localhost'] as const;

/** What it serves, by path; nothing else of the disk can be reached. */
const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
  ['/page.css', 'page.css', 'text/css; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
] as const;

export interface PageServer {
  readonly url: string;
  /** Closes it at once. */
  close(): Promise<void>;
}

export interface PageOptions {
  /** 0 is any free port. */
  readonly port: number;
  /** Where the gateway's external port is, on loopback. */
  readonly gatewayPort: number;
}

/**
 * Serves, on loopback, the page by which people try the gateway in a browser. Its port makes it a page of another origin, as a
 * single-page application is. Its Content-Security-Policy lets it load its own files and call the gateway, nothing else.
 */
export async function startPage({ port, gatewayPort }: Readonly<PageOptions>): Promise<PageServer> {
  const files = await readFiles();
  files.set('/settings.json', { type: 'application/json', content: JSON.stringify({ gatewayPort }) });
  const fields = fieldsFor(gatewayPort);
  const server = createServer((req, res) => {
    const file = files.get(req.url?.split('?', 1)[0] ?? '');
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    if (!isRead) res.writeHead(405, { ...fields, Allow: 'GET, HEAD' }).end();
    else if (file) res.writeHead(200, { ...fields, 'Content-Type': file.type }).end(file.content);
    else res.writeHead(404, fields).end();
  }).listen(port, LOOPBACK);
  await once(server, 'listening');
  // The playground runs for as long as its processes do.
  server.unref();
  return {
    url: `http://${LOOPBACK}:${portOf(server)}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function readFiles(): Promise<Map<string, { type: string; content: string | Buffer }>> {
  const read = FILES.map(async ([path, name, type]) => {
    const content = await readFile(new URL(`./public/${name}`, import.meta.url));
    return [path, { type, content }] as const;
  });
  return new Map(await Promise.all(read));
}

/** The fields of every response. */
function fieldsFor(gatewayPort: number): Record<string, string> {
  const gateways = HOSTS.flatMap((host) => [`http://${host}:${gatewayPort}`, `ws://${host}:${gatewayPort}`]);
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${gateways.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return {
    'Content-Security-Policy': policy.join('; '),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  };
}
