import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { builtContender } from '../contenders/build.ts';

/** Where the measured process runs, and where everything else does: load generator, services, Redis. */
export interface Cores {
  readonly measured: number;
  /** For what has two threads; undefined where it would be in the way of the rest. */
  readonly second: number | undefined;
  readonly others: number;
  /** Whether processes can be kept on them. */
  readonly pinned: boolean;
}

/** The first and the last core this process may use. One core, or no `taskset`: nothing is pinned. */
export function chooseCores(): Cores {
  const allowed = allowedCores();
  const measured = allowed[0] ?? 0;
  const others = allowed.at(-1) ?? 0;
  // One more stays free for the load generator and the services.
  const second = allowed.length >= 4 ? allowed[1] : undefined;
  return { measured, second, others, pinned: measured !== others && isInstalled('taskset') };
}

/** Whether `command`, a name or a path, can be run. */
export function isInstalled(command: string): boolean {
  const places = isAbsolute(command)
    ? [command]
    : (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, command));
  return places.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What the figures depend on. */
export function machineFacts(cores: Cores) {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    pinning: cores.pinned ? `measured on core ${cores.measured}, the rest on ${cores.others}` : 'none',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    loadAverage: loadavg()[0],
    node: process.version,
    commit: firstLine('git', ['describe', '--always', '--dirty']),
    loadGenerator: isInstalled('wrk')
      ? firstLine('wrk', ['-v'])
      : `autocannon ${packageVersion('autocannon')}`,
    upstream: isInstalled('nginx') ? 'nginx' : 'Node',
    peers: peerVersions(),
  };
}

function peerVersions(): Record<string, string> {
  const packages = ['@fastify/http-proxy', 'fastify', 'fast-gateway', 'http-proxy-middleware', 'express'];
  const versions = Object.fromEntries(packages.map((name) => [name, packageVersion(name)]));
  return {
    ...versions,
    nginx: firstLine('nginx', ['-v']),
    haproxy: firstLine('haproxy', ['-v']),
    caddy: firstLine(programOf('caddy'), ['version']),
    traefik: traefikVersion(),
    redis: firstLine('redis-server', ['--version']),
  };
}

/** The contender that was built here, else the program of that name in the PATH. */
export function programOf(name: string): string {
  return builtContender(name) ?? name;
}

function traefikVersion(): string {
  const traefik = programOf('traefik');
  if (!isInstalled(traefik)) return 'not installed';
  return (
    /^Version:\s+(\S+)/m.exec(execFileSync(traefik, ['version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  );
}

/** Read from the file: many packages do not export their package.json. */
function packageVersion(name: string): string {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return JSON.parse(readFileSync(join(path, name, 'package.json'), 'utf8')).version;
    } catch {
      // Further up, perhaps.
    }
  }
  return 'not installed';
}

/** What a program says first, on either output: some name their version on the one, some on the other. */
function firstLine(command: string, args: readonly string[]): string {
  if (!isInstalled(command)) return 'not installed';
  try {
    return execFileSync('sh', ['-c', '"$0" "$@" 2>&1 || true', command, ...args], { encoding: 'utf8' })
      .split('\n', 1)[0]
      ?.trim() as string;
  } catch (error) {
    return String(error);
  }
}

function allowedCores(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
