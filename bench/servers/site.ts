import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cores, isInstalled } from '../machine/machine.ts';
import { modulePath } from '../machine/modulePath.ts';
import { BenchProcess, freePort } from '../machine/processes.ts';
import { MIB } from './content.ts';
import { upstreamConfig } from './proxies/nginx.ts';

/** Below the directory of a site: what nginx serves as `/bytes/...`. */
export const SERVED_FILES = 'upstream/bytes';

const ADDRESSES_A_NET = 250;

/** The ground everything measured stands on: the services behind it, a place for files, and a token. */
export interface Site {
  readonly cores: Cores;
  readonly directory: string;
  /** `127.0.0.1:port` of the service that answers. */
  readonly upstream: string;
  /** Every address that it answers at. */
  readonly upstreams: readonly string[];
  /** `127.0.0.1:port` of the service that echoes WebSockets and holds requests. */
  readonly echo: string;
  /** Another checkout of the gateway. */
  readonly against: string | undefined;
  readonly redisPort: number | undefined;
  readonly jwtSecret: string;
  readonly token: string;
  close(): Promise<void>;
}

export interface SiteOptions {
  readonly against?: string | undefined;
  /** At how many addresses the service answers, where nginx is installed. Default 1. */
  readonly addresses?: number;
}

/** Starts the services, and Redis where it is installed, on the core that is not measured. */
export async function openSite(cores: Cores, { against, addresses = 1 }: SiteOptions = {}): Promise<Site> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  const started: BenchProcess[] = [];
  async function close(): Promise<void> {
    await Promise.all(started.map((process) => process.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
  async function start(name: string, command: string, argsFor: (port: number) => string[]): Promise<number> {
    const port = await freePort();
    const process = new BenchProcess({ name, command, args: argsFor(port), core: pinnedTo(cores, 'others') });
    started.push(process);
    await process.listening(port);
    return port;
  }
  try {
    const node = await start('the service', process.execPath, (port) => [
      modulePath('servers/upstream.ts'),
      String(port),
    ]);
    const count = isInstalled('nginx') ? addresses : 1;
    const upstream = isInstalled('nginx')
      ? await start('nginx', 'nginx', (port) => nginxArgs(loopbackAddresses(count, port), directory))
      : node;
    const redisPort = isInstalled('redis-server')
      ? await start('Redis', 'redis-server', redisArgs)
      : undefined;
    const jwtSecret = randomBytes(48).toString('base64');
    const token = tokenFor('ann', jwtSecret);
    const upstreams = loopbackAddresses(count, upstream);
    const services = { upstream: `127.0.0.1:${upstream}`, upstreams, echo: `127.0.0.1:${node}` };
    return { cores, directory, ...services, redisPort, jwtSecret, token, against, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The core for this process, as `BenchProcess` takes it. */
export function pinnedTo(cores: Cores, which: 'measured' | 'others'): number | undefined {
  return cores.pinned ? cores[which] : undefined;
}

/** The cores for a process of two busy threads; where there is no second one to spare, both share the first. */
export function pairOf({ pinned, measured, second }: Cores): string | number | undefined {
  if (!pinned) return undefined;
  return second === undefined ? measured : `${measured},${second}`;
}

/** An HS256 token, as a service of the gateway's would issue it. */
export function tokenFor(subject: string, secret: string): string {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: subject, role: 'user', iat: nowSeconds, exp: nowSeconds + 86_400 })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** `127.0.0.1:port` and its neighbours, all of them this machine's. */
function loopbackAddresses(count: number, port: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => `127.0.${Math.floor(i / ADDRESSES_A_NET)}.${(i % ADDRESSES_A_NET) + 1}:${port}`,
  );
}

function nginxArgs(addresses: readonly string[], directory: string): string[] {
  const root = join(directory, 'upstream');
  mkdirSync(join(directory, SERVED_FILES), { recursive: true });
  writeFileSync(join(root, 'mib'), MIB);
  writeFileSync(join(root, 'nginx.conf'), upstreamConfig(addresses, root));
  return ['-p', root, '-c', 'nginx.conf', '-e', 'stderr'];
}

function redisArgs(port: number): string[] {
  return ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
}
