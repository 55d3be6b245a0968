import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isInstalled, programOf } from '../machine/machine.ts';
import { commandIn, type MemoryGroup } from '../machine/memoryGroup.ts';
import { modulePath } from '../machine/modulePath.ts';
import { BenchProcess, freePort, type ProcessOptions } from '../machine/processes.ts';
import * as caddy from './proxies/caddy.ts';
import * as haproxy from './proxies/haproxy.ts';
import * as nginx from './proxies/nginx.ts';
import * as traefik from './proxies/traefik.ts';
import { pairOf, pinnedTo, type Site } from './site.ts';

/** Everything that can be put under load. `service` is what stands behind all the others. */
export const SERVERS = [
  'gateway',
  'gateway before',
  'gateway + Redis',
  'gateway, 2 workers',
  'gateway, large cache',
  '@fastify/http-proxy',
  'fast-gateway',
  'http-proxy-middleware',
  'express',
  'nginx',
  'haproxy',
  'caddy',
  'traefik',
  'service',
] as const;

export type ServerName = (typeof SERVERS)[number];

/** Something under load. */
export interface Server {
  readonly name: ServerName;
  readonly pid: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Of a gateway: where requests without tokens go. */
  readonly internalAddress: string;
  stop(): Promise<void>;
}

/** A service as a GATEWAY_FILE has it. */
export interface ServiceEntry {
  readonly name: string;
  readonly path: string;
  readonly upstreams: readonly string[];
  readonly [more: string]: unknown;
}

/** What a gateway is started with besides what all have. */
export interface GatewayOptions {
  /** Of Node itself. */
  readonly nodeOptions?: readonly string[];
  /** Default: the service that answers, the one that echoes, and one that is always busy. */
  readonly services?: readonly ServiceEntry[];
  /** What its file says beside them. */
  readonly file?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** The control group whose limit holds for it. */
  readonly group?: MemoryGroup | undefined;
}

/** Starts one and resolves once it listens; `undefined` where it is not installed. `options` are a gateway's. */
export async function startServer(
  name: ServerName,
  site: Site,
  options: GatewayOptions = {},
): Promise<Server | undefined> {
  if (!isPresent(name, site)) return undefined;
  if (name === 'service') return service(site);
  const port = await freePort();
  const internalPort = await freePort();
  const directory = join(site.directory, `${name.replaceAll(/\W+/g, '-')}-${port}`);
  mkdirSync(directory);
  const command = commandFor({ name, site, port, internalPort, directory, options });
  const process = new BenchProcess({
    name,
    ...command,
    core: name === 'gateway, 2 workers' ? pairOf(site.cores) : pinnedTo(site.cores, 'measured'),
    cwd: directory,
  });
  try {
    await process.listening(port);
  } catch (error) {
    await process.stop();
    throw error;
  }
  return {
    name,
    pid: process.pid,
    address: `127.0.0.1:${port}`,
    internalAddress: `127.0.0.1:${internalPort}`,
    stop: () => process.stop(),
  };
}

const ROOT = modulePath('..');

/** Where the peer that is a package is looked for and the module that runs it. */
const PEERS: Partial<Record<ServerName, string>> = {
  '@fastify/http-proxy': 'servers/peers/fastify-http-proxy.mjs',
  'fast-gateway': 'servers/peers/fast-gateway.mjs',
  'http-proxy-middleware': 'servers/peers/http-proxy-middleware.mjs',
  express: 'servers/peers/express.mjs',
};

/** They need nothing that is not in the repository. */
const ALWAYS_THERE: readonly ServerName[] = [
  'gateway',
  'gateway, 2 workers',
  'gateway, large cache',
  'service',
];

function isPresent(name: ServerName, { redisPort, against }: Site): boolean {
  if (name === 'gateway before') return against !== undefined;
  if (name === 'gateway + Redis') return redisPort !== undefined;
  if (name in PEERS) return createRequire(import.meta.url).resolve.paths(name) !== null && hasPackage(name);
  return ALWAYS_THERE.includes(name) || isInstalled(programOf(name));
}

function hasPackage(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

interface CommandContext {
  readonly name: ServerName;
  readonly site: Site;
  readonly port: number;
  readonly internalPort: number;
  readonly directory: string;
  readonly options: GatewayOptions;
}

type Command = Pick<ProcessOptions, 'command' | 'args' | 'env'>;

function commandFor(context: CommandContext): Command {
  const { name, site, port, directory } = context;
  const { upstream, echo } = site;
  const write = (file: string, content: string) => writeFileSync(join(directory, file), content);
  switch (name) {
    case 'gateway':
    case 'gateway before':
    case 'gateway + Redis':
    case 'gateway, 2 workers':
    case 'gateway, large cache':
      return gatewayCommand(context);
    case 'nginx':
      write('nginx.conf', nginx.proxyConfig(port, upstream, echo, directory));
      return { command: 'nginx', args: ['-p', directory, '-c', 'nginx.conf', '-e', 'stderr'] };
    case 'haproxy':
      write('haproxy.cfg', haproxy.config(port, upstream, echo));
      return { command: 'haproxy', args: ['-db', '-f', 'haproxy.cfg'] };
    case 'caddy':
      write('Caddyfile', caddy.config(port, upstream, echo));
      return {
        command: programOf('caddy'),
        args: ['run', '--config', 'Caddyfile'],
        env: { HOME: directory, GOMAXPROCS: '1' },
      };
    case 'traefik':
      write('traefik.yml', traefik.config(port));
      write('routes.yml', traefik.routes(upstream, echo));
      return {
        command: programOf('traefik'),
        args: ['--configFile=traefik.yml'],
        env: { HOME: directory, GOMAXPROCS: '1' },
      };
    default: {
      const args = [
        modulePath(PEERS[name] ?? ''),
        String(port),
        `http://${upstream}`,
        `http://${echo}`,
        directory,
      ];
      return { command: process.execPath, args, env: { NODE_ENV: 'production' } };
    }
  }
}

/** As in production, but for limits that the load stays below and a service that is always busy. */
function gatewayCommand(context: CommandContext): Command {
  const { name, site, port, internalPort, directory, options } = context;
  const { nodeOptions = [], services = usualServices(site), file = {}, group } = options;
  const checkout = name === 'gateway before' ? (site.against ?? '') : ROOT;
  const main = join(checkout, 'gateway/main.ts');
  const node = [process.execPath, ...nodeOptions, main];
  const [command = '', ...args] = group ? commandIn(group, node) : node;
  return {
    command,
    args,
    env: {
      NODE_ENV: 'production',
      EXTERNAL_HOST: '127.0.0.1',
      EXTERNAL_PORT: String(port),
      INTERNAL_HOST: '127.0.0.1',
      INTERNAL_PORT: String(internalPort),
      JWT_SECRET: site.jwtSecret,
      ...servicesVariable(checkout, directory, services, file),
      GLOBAL_CONCURRENCY: '10000',
      PER_SERVICE_LIMIT: '10000',
      DATA_DIR: 'data',
      ...(name === 'gateway, 2 workers' && { WORKERS: '2' }),
      ...(name === 'gateway, large cache' && { CACHE_MAX_BYTES: '1GiB' }),
      ...(name === 'gateway + Redis' && { REDIS_URL: `redis://127.0.0.1:${site.redisPort}` }),
      ...options.env,
    },
  };
}

/** The variable by which the gateway of a checkout finds its services. Earlier ones had a file of another shape. */
function servicesVariable(
  checkout: string,
  directory: string,
  services: readonly ServiceEntry[],
  file: Readonly<Record<string, unknown>>,
): Record<string, string> {
  if (existsSync(join(checkout, 'config/file'))) {
    writeFileSync(join(directory, 'gateway.json'), JSON.stringify({ ...file, services }));
    return { GATEWAY_FILE: 'gateway.json' };
  }
  const former = services.map(({ limits, timeouts, cache, ...same }) => ({
    ...same,
    ...(limits as object),
    cacheTtl: (cache as { ttl?: string } | undefined)?.ttl,
    requestTimeout: (timeouts as { request?: string } | undefined)?.request,
  }));
  writeFileSync(join(directory, 'services.json'), JSON.stringify({ services: former }));
  return { SERVICES_FILE: 'services.json' };
}

/** The service at `path` that is reached at these addresses. */
export function serviceEntry(path: string, addresses: readonly string[], more = {}): ServiceEntry {
  return { name: path.slice(1), path, upstreams: addresses.map((address) => `http://${address}`), ...more };
}

export function usualServices({ upstream, echo }: Site): ServiceEntry[] {
  return [
    serviceEntry('/budgeting', [upstream]),
    serviceEntry('/echo', [echo]),
    serviceEntry('/busy', [echo], { limits: { concurrency: 1 }, timeouts: { request: '1h' } }),
  ];
}

/** Runs already, and not as one of the measured: it is the yardstick for latency. */
function service({ upstream }: Site): Server {
  return { name: 'service', pid: 0, address: upstream, internalAddress: upstream, stop: async () => {} };
}

/** Where a request goes that means one of a gateway's two ports. */
export function addressOf(server: Server, { internal }: { readonly internal?: boolean }): string {
  return internal ? server.internalAddress : server.address;
}
