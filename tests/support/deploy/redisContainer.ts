import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { eventually } from '../eventually.ts';

const EXEC_WITHIN_MS = 5_000;

/**
 * Runs a command as a container of a Redis image would: as the user `redis` without capabilities, with namespaces of
 * its own, on a read-only file system. This machine's programs take the place of the image's. $1 is an empty
 * directory for the root, $2 the volume at /data, $3 the secret redis_password.
 */
const ENTER = `
set -e
root=$1 data=$2 secret=$3
shift 3
ip link set lo up
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
for name in bin sbin lib lib64 usr etc dev; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"
  elif [ -d "/$name" ]; then mkdir "$root/$name"; mount --rbind "/$name" "$root/$name"
  fi
done
mkdir -p "$root/proc" "$root/data" "$root/run/secrets"
mount -t proc proc "$root/proc"
mount --bind "$data" "$root/data"
touch "$root/run/secrets/redis_password"
mount --bind "$secret" "$root/run/secrets/redis_password"
mount -o remount,ro "$root"
exec chroot "$root" /usr/bin/setpriv --reuid redis --regid redis --clear-groups --no-new-privs --bounding-set=-all \\
  /usr/bin/env -i --chdir=/data PATH=/usr/bin:/bin "$@"
`;

export interface RedisContainerOptions {
  /** An empty directory. */
  readonly root: string;
  readonly data: string;
  /** The file of the secret. */
  readonly secret: string;
  readonly command: readonly string[];
}

/** A container of Redis, or the nearest to it that needs no engine. */
export class RedisContainer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = '';

  constructor({ root, data, secret, command }: RedisContainerOptions) {
    const namespaces = ['--mount', '--pid', '--net', '--fork'];
    const args = [...namespaces, 'sh', '-c', ENTER, 'sh', root, data, secret, ...command];
    this.#child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => {
        this.#output += text;
      });
    this.#closed = once(this.#child, 'close');
  }

  get output(): string {
    return this.#output;
  }

  /** What /proc has of its first process. */
  proc(file: string): string {
    return readFileSync(`/proc/${this.#pid}/${file}`, 'utf8');
  }

  /** Runs a shell command inside of it, as its user; resolves to what that printed. */
  exec(command: string): string {
    const inside = ['--target', String(this.#pid), '--all', '--root', '--wd'];
    const user = ['setpriv', '--reuid', 'redis', '--regid', 'redis', '--clear-groups'];
    return execFileSync('nsenter', [...inside, ...user, 'sh', '-c', command], {
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: EXEC_WITHIN_MS,
    });
  }

  /** Waits until `docker exec` of this command goes well. */
  async untilHealthy(command: string): Promise<void> {
    await eventually('Redis is healthy', () => {
      this.exec(command);
      return true;
    });
  }

  async stop(): Promise<number> {
    process.kill(this.#pid, 'SIGTERM');
    return this.ended();
  }

  /** Waits until it has ended; resolves to its exit code. */
  async ended(): Promise<number> {
    const code = await eventually('Redis has ended', () => this.#child.exitCode ?? undefined);
    await this.#closed;
    return code;
  }

  /** Its first process does not die with `unshare`: a change of user makes the kernel forget that it is to. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) process.kill(this.#pid, 'SIGKILL');
    await this.#closed;
  }

  /** The process id that its first process has outside. */
  get #pid(): number {
    const { pid } = this.#child;
    const found = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    if (found === '') throw new Error(`Redis does not run: ${this.#output}`);
    return Number(found);
  }
}
