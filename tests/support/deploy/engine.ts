import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathOf } from '../processes/command.ts';

/** What has to be installed, as root on Debian: `apt-get install`. */
const NEEDED = { podman: 'podman', runc: 'runc', npm: 'npm' };
const TAKES_AT_MOST_MS = 600_000;

/** Machines without systemd, and containers themselves, allow less than podman asks for. */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
`;

/**
 * A file system with as much of this machine's programs as the Dockerfile's steps need, in $1, with the Node $2 and npm
 * where the real base image has them. It needs no registry of images. $3 is npm's directory.
 */
const BASE = `
set -e
root=$1 node=$2 npm=$3
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/local/bin" "$root/usr/local/lib/node_modules"
mkdir -p "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/run"
mkdir -m 1777 "$root/tmp" "$root/var" "$root/var/tmp"
for name in bin lib lib64; do ln -s "usr/$name" "$root/$name"; done
for name in sh bash env find grep rm install cat ls; do cp -L "$(command -v "$name")" "$root/usr/bin/$name"; done
cp "$node" "$root/usr/local/bin/node"
ldd "$root"/usr/bin/* "$root/usr/local/bin/node" | grep -o '/[^ :]*' | grep -v "^$root" | sort -u |
  while read -r library; do
    place="$root/usr/\${library#/usr}"
    mkdir -p "\${place%/*}"
    cp -L "$library" "$place"
  done
cp -a "$npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
`;

/** Why no engine can be used here; undefined when one can. */
export function whyNoEngine(): string | undefined {
  if (process.env.ENGINE !== 'podman') return 'npm run test:engine runs it';
  if (process.getuid?.() !== 0) return 'only root may';
  const missing = Object.entries(NEEDED).filter(([command]) => !pathOf(command));
  if (missing.length === 0) return undefined;
  return `missing: apt-get install ${missing.map(([, debianPackage]) => debianPackage).join(' ')}`;
}

/** podman with images, containers and volumes of its own, all of which go with it. Containers use this machine's network. */
export class Engine implements AsyncDisposable {
  // Short: podman takes no --runroot of more than 50 characters, and Jest's own directory has 29 of them.
  readonly #directory = mkdtempSync(join(tmpdir(), 'podman-'));

  constructor() {
    writeFileSync(join(this.#directory, 'containers.conf'), CONTAINERS_CONF);
  }

  /** Makes what the Dockerfile's stages begin with. */
  async importBase(tag: string): Promise<void> {
    const root = join(this.#directory, 'base');
    const npm = join(realpathSync(pathOf('npm') ?? ''), '../..');
    execFileSync('sh', ['-c', BASE, 'sh', root, realpathSync(process.execPath), npm]);
    mkdirSync(join(root, 'usr/local/etc'));
    // What `npm ci` has just fetched for these tests is not fetched again.
    writeFileSync(
      join(root, 'usr/local/etc/npmrc'),
      `prefer-offline=true\nregistry=${npmConfig('registry')}\n`,
    );
    const archive = join(this.#directory, 'base.tar');
    execFileSync('tar', ['-C', root, '-cf', archive, '.']);
    await this.podman('import', archive, `localhost/${tag}`);
    rmSync(root, { recursive: true });
    rmSync(archive);
  }

  /** Health checks are no part of OCI's format. */
  async build(context: string, target: string): Promise<void> {
    const cache = `${npmConfig('cache')}:/root/.npm`;
    const how = ['--format', 'docker', '--pull=never', '--network', 'host', '--volume', cache];
    await this.podman('build', ...how, '--target', target, '--tag', target, context);
  }

  /** Resolves to what it printed; rejects with that when it does not exit with 0. */
  async podman(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tried(...args);
    if (code !== 0) throw new Error(`podman ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
    return stdout.trim();
  }

  async tried(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const store = ['--root', join(this.#directory, 'root'), '--runroot', join(this.#directory, 'run')];
    const child = spawn('podman', [...store, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs', ...args], {
      env: { ...process.env, CONTAINERS_CONF: join(this.#directory, 'containers.conf') },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TAKES_AT_MOST_MS,
    });
    const code = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tried('rm', '--all', '--force', '--time', '0');
    await this.tried('volume', 'rm', '--all', '--force');
    await this.tried('rmi', '--all', '--force');
    rmSync(this.#directory, { recursive: true });
  }
}

function npmConfig(name: string): string {
  return execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();
}
