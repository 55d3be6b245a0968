import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { modulePath } from '../machine/modulePath.ts';

/** Where the contenders that are built here end up: a folder that git ignores. */
const BINARIES = modulePath('../node_modules/.cache/bench');
const SOURCE = modulePath('contenders');
const TRAEFIK = 'github.com/traefik/traefik/v3';
const LEGO = 'github.com/go-acme/lego/v5';

/** The contenders that are built from the source of their Go modules, and the releases that are measured. */
export const BUILT = { caddy: '2.11.8', traefik: '3.7.13' } as const;

export type BuiltName = keyof typeof BUILT;

/** Called with a line for whoever watches. */
type Tell = (line: string) => void;

/** The program of that name which was built here; undefined when it was not. */
export function builtContender(name: string): string | undefined {
  const path = name in BUILT ? binaryOf(name as BuiltName) : undefined;
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** Builds those that are not there yet. Throws when Go is not installed or a module cannot be had. */
export function buildContenders(tell: Tell): void {
  for (const name of Object.keys(BUILT) as BuiltName[]) {
    if (existsSync(binaryOf(name))) {
      tell(`${name} ${BUILT[name]} is there: ${binaryOf(name)}`);
      continue;
    }
    tell(
      `Building ${name} ${BUILT[name]}: some minutes, and most of a GiB in Go's caches the first time ...`,
    );
    const startedAtMs = performance.now();
    mkdirSync(folderOf(name), { recursive: true });
    if (name === 'caddy') buildCaddy();
    else buildTraefik(tell);
    tell(`${name} was built in ${Math.round((performance.now() - startedAtMs) / 1000)} s: ${binaryOf(name)}`);
  }
}

function folderOf(name: BuiltName): string {
  return join(BINARIES, `${name}-${BUILT[name]}`);
}

function binaryOf(name: BuiltName): string {
  return join(folderOf(name), name);
}

function buildCaddy(): void {
  const caddy = `github.com/caddyserver/caddy/v2/cmd/caddy@v${BUILT.caddy}`;
  go(folderOf('caddy'), ['install', caddy], { GOBIN: folderOf('caddy') });
}

/** Copies the module beside this file, adds lego without its DNS providers, and builds the tool that it names. */
function buildTraefik(tell: Tell): void {
  const module = join(folderOf('traefik'), 'module');
  rmSync(module, { recursive: true, force: true });
  cpSync(join(SOURCE, 'traefik'), module, { recursive: true });
  const { GoMod } = download(`${TRAEFIK}@v${BUILT.traefik}`);
  const version = new RegExp(`^\\s*${LEGO} (\\S+)`, 'm').exec(readFileSync(GoMod, 'utf8'))?.[1];
  copyLego(download(`${LEGO}@${version}`).Dir, module);
  tell(`  with lego ${version} but for its DNS providers`);
  const named = `-X ${TRAEFIK}/pkg/version.Version=${BUILT.traefik}`;
  go(module, ['build', '-mod=mod', '-ldflags', named, '-o', binaryOf('traefik'), `${TRAEFIK}/cmd/traefik`]);
}

function copyLego(from: string, module: string): void {
  const lego = join(module, 'lego');
  const providers = join(lego, 'providers/dns');
  cpSync(from, lego, { recursive: true });
  // What is in Go's cache of modules may not be written to.
  for (const entry of readdirSync(lego, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  }
  chmodSync(lego, 0o755);
  rmSync(providers, { recursive: true });
  cpSync(join(module, 'dns'), providers, { recursive: true });
  rmSync(join(module, 'dns'), { recursive: true });
}

interface Downloaded {
  readonly Dir: string;
  readonly GoMod: string;
}

function download(module: string): Downloaded {
  return JSON.parse(execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' }));
}

/** What Go says goes to whoever watches. */
function go(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const own = { ...process.env, GOFLAGS: '-buildvcs=false', ...env };
  const { status, error } = spawnSync('go', [...args], { cwd, env: own, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`go ${args[0]} ended with ${status}`);
}
