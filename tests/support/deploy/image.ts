import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { eventually } from '../eventually.ts';
import { run } from '../processes/command.ts';
import { assignments, execForm, type Instruction, readDockerfile, type Stage } from './dockerfile.ts';

const ROOT = join(import.meta.dirname, '../../..');
const NPM_CI_WITHIN_MS = 120_000;
/** Of every Linux that Node runs on: sysconf(_SC_CLK_TCK). */
const CLOCK_TICKS_A_SECOND = 100;

/**
 * Runs a command in a file system of its own, as process 1 of a process-id namespace of its own. What the base image
 * brings (a shell, npm, certificates) is this machine's; Node is the project's. $1 root, $2 node, $3 ro or rw,
 * $4 user:group, $5 directory, $6 the volume at /data and $7 the home to be seen inside, or nothing.
 */
const ENTER = `
set -e
root=$1 node=$2 mode=$3 user=$4 directory=$5 data=$6 home=$7
shift 7
mount --make-rprivate /
mount --bind "$root" "$root"
for name in bin sbin lib lib64 usr etc dev; do
  if [ -L "/$name" ]; then [ -L "$root/$name" ] || cp -P "/$name" "$root/$name"
  elif [ -d "/$name" ]; then mkdir -p "$root/$name"; mount --rbind "/$name" "$root/$name"
  fi
done
mkdir -p "$root/proc" "$root/tmp" "$root/opt/bin"
mount -t proc proc "$root/proc"
if [ "$mode" = rw ]; then mount -t tmpfs tmpfs "$root/tmp"; fi
mount -t tmpfs tmpfs "$root/dev/shm"
touch "$root/opt/bin/node"
mount --bind "$node" "$root/opt/bin/node"
if [ -n "$home" ]; then mkdir -p "$root$home"; mount --bind "$home" "$root$home"; fi
if [ "$mode" = ro ]; then mount -o remount,bind,ro "$root"; fi
if [ -n "$data" ]; then mount --bind "$data" "$root/data"; fi
exec chroot --userspec="$user" "$root" /usr/bin/env --chdir="$directory" "$@"
`;

/** What a build leaves behind. */
export interface Image {
  /** Its files. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly user: string;
  readonly stopSignal: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly ports: readonly number[];
}

/** Carries out the Dockerfile for its stages, each once. */
export class ImageBuilder {
  readonly #directory = mkdtempSync(join(tmpdir(), 'gateway-image-'));
  readonly #stages = readDockerfile(join(ROOT, 'Dockerfile'));
  readonly #context = join(this.#directory, 'context');
  readonly #built = new Map<string, Promise<Image>>();

  constructor() {
    copyContext(this.#context);
  }

  /** What the engine would be sent. */
  get context(): string {
    return this.#context;
  }

  get targets(): string[] {
    return this.#stages.map(({ name }) => name);
  }

  /** What its stages begin with that are no stages themselves. */
  get baseImages(): string[] {
    const images = this.#stages.map(({ from }) => from).filter((from) => !this.targets.includes(from));
    return [...new Set(images)];
  }

  build(target: string): Promise<Image> {
    const built = this.#built.get(target) ?? this.#carryOut(target);
    this.#built.set(target, built);
    return built;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #carryOut(target: string): Promise<Image> {
    const stage = this.#stages.find(({ name }) => name === target);
    if (!stage) throw new Error(`the Dockerfile has no stage ${target}`);
    const root = join(this.#directory, target);
    let image = await this.#base(stage, root);
    for (const instruction of stage.instructions) image = await this.#step(image, instruction);
    return image;
  }

  async #base({ from }: Stage, root: string): Promise<Image> {
    if (!this.targets.includes(from)) {
      mkdirSync(root);
      return { ...EMPTY, root };
    }
    const image = await this.build(from);
    // Hard links: layers are not changed either.
    execFileSync('cp', ['-al', image.root, root]);
    return { ...image, root };
  }

  async #step(image: Image, { name, options, text }: Instruction): Promise<Image> {
    switch (name) {
      case 'WORKDIR':
        mkdirSync(join(image.root, text), { recursive: true });
        return { ...image, directory: text };
      case 'COPY':
        copy(options.from ? (await this.build(options.from)).root : this.#context, image, text.split(/\s+/));
        return image;
      case 'RUN':
        await runIn(image, ['/bin/sh', '-c', text]);
        return image;
      case 'ENV':
        return { ...image, env: { ...image.env, ...assignments(text) } };
      case 'LABEL':
        return { ...image, labels: { ...image.labels, ...assignments(text) } };
      case 'USER':
        return { ...image, user: text };
      case 'STOPSIGNAL':
        return { ...image, stopSignal: text };
      case 'EXPOSE':
        return { ...image, ports: text.split(/\s+/).map(Number) };
      case 'HEALTHCHECK':
        return { ...image, healthcheck: execForm(text) };
      case 'ENTRYPOINT':
        return { ...image, entrypoint: execForm(text) };
      case 'CMD':
        return { ...image, command: execForm(text) };
      default:
        throw new Error(`the test does not know ${name}`);
    }
  }
}

const EMPTY: Omit<Image, 'root'> = {
  env: { PATH: '/opt/bin:/usr/bin:/bin' },
  labels: {},
  directory: '/',
  user: '0:0',
  stopSignal: 'SIGTERM',
  entrypoint: [],
  command: [],
  healthcheck: [],
  ports: [],
};

export interface RunOptions {
  /** Instead of the image's command. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The directory that is mounted at /data. */
  readonly data?: string;
  /** Instead of the image's user, as `uid:gid`. */
  readonly user?: string;
}

/** A container, or the nearest to it that needs no engine. */
export class Container implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #image: Image;
  readonly #env: Readonly<Record<string, string>>;
  /** The exit code, once it has ended. */
  readonly exited: Promise<number | null>;
  #output = '';

  constructor(image: Image, { command = image.command, env = {}, data, user = image.user }: RunOptions) {
    this.#image = { ...image, user };
    this.#env = env;
    const args = enter(this.#image, { readOnly: true, env, data });
    this.#child = spawn('unshare', [...args, ...image.entrypoint, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        this.#output += text;
      });
    }
    this.exited = new Promise((resolve) => this.#child.once('exit', resolve));
  }

  get output(): string {
    return this.#output;
  }

  /** The process id that its first process has outside; undefined until there is one. */
  get pid(): number | undefined {
    const { pid } = this.#child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? undefined : Number(children);
  }

  /** Lines of its first process's /proc/self/status, such as `Uid`. */
  status(field: string): string[] {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
  }

  /** Seconds of CPU that its first process has taken. */
  get cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    // Fields 14 and 15 of proc_pid_stat(5), user and system; a name in brackets is the second.
    const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
    return (user + system) / CLOCK_TICKS_A_SECOND;
  }

  /** Runs the image's HEALTHCHECK as the engine would; resolves to whether it is healthy. */
  async healthy(): Promise<boolean> {
    const args = enter(this.#image, { readOnly: true, env: this.#env });
    return run('unshare', [...args, ...this.#image.healthcheck]).then(
      () => true,
      () => false,
    );
  }

  /** Waits until the health check passes, as `docker compose up --wait` does. */
  async untilHealthy(): Promise<void> {
    await eventually(
      'the container is healthy',
      async () => {
        if (this.#child.exitCode !== null) return true;
        return this.healthy();
      },
      30_000,
    );
    if (this.#child.exitCode !== null)
      throw new Error(`ended with ${this.#child.exitCode}:\n${this.#output}`);
  }

  /** Whatever a test has left running ends with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // What --kill-child asks for is forgotten where the user changes, so its first process has to be killed itself.
    if (this.#child.exitCode === null && this.pid) process.kill(this.pid, 'SIGKILL');
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** Sends it the signal that `docker stop` sends; resolves to its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.pid) process.kill(this.pid, this.#image.stopSignal);
    return this.exited;
  }
}

async function runIn(image: Image, command: readonly string[]): Promise<void> {
  // npm keeps what it has fetched there, and knows from there where to fetch.
  const home = process.env.HOME ?? '/root';
  const npm = Object.entries(process.env).filter(([name]) =>
    /^npm_config_|_proxy$|^NODE_EXTRA_CA_CERTS$|^SSL_CERT_(FILE|DIR)$/i.test(name),
  ) as [string, string][];
  const env = { HOME: home, ...Object.fromEntries(npm), npm_config_prefer_offline: 'true' };
  const args = enter(image, { readOnly: false, env, home });
  execFileSync('unshare', [...args, ...command], {
    timeout: NPM_CI_WITHIN_MS,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

interface Entering {
  readonly readOnly: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly data?: string | undefined;
  readonly home?: string;
}

/** The arguments of `unshare` up to the command. */
function enter(image: Image, { readOnly, env, data = '', home = '' }: Entering): string[] {
  const { root, user, directory } = image;
  const variables = Object.entries({ ...image.env, ...env }).map(([name, value]) => `${name}=${value}`);
  return [
    ...['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh'],
    ...[root, projectNode(), readOnly ? 'ro' : 'rw', user, directory, data, home],
    ...['-i', ...variables],
  ];
}

/** The Node that runs these tests. */
function projectNode(): string {
  return realpathSync(process.execPath);
}

/** .dockerignore, as far as this project's goes: everything is left out but what has a `!`. */
function copyContext(directory: string): void {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const patterns = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (patterns[0] !== '*' || !patterns.slice(1).every((pattern) => /^![\w.-]+$/.test(pattern))) {
    throw new Error(`.dockerignore says what the test does not know: ${patterns.join(' ')}`);
  }
  mkdirSync(directory);
  for (const pattern of patterns.slice(1)) {
    cpSync(join(ROOT, pattern.slice(1)), join(directory, pattern.slice(1)), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

/** As COPY does: the content of a directory, or files into one. */
function copy(from: string, { root, directory }: Image, paths: readonly string[]): void {
  const target = paths.at(-1) ?? '';
  for (const source of paths.slice(0, -1)) {
    const path = join(from, source);
    if (!existsSync(path)) throw new Error(`COPY finds no ${source}`);
    const place = join(root, target.startsWith('/') ? '' : directory, target);
    const isFile = statSync(path).isFile();
    cpSync(path, isFile && target.endsWith('/') ? join(place, basename(source)) : place, {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}
