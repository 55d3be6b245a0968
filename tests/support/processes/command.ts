import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { buffer } from 'node:stream/consumers';

const RUNS_AT_MOST_MS = 60_000;
const APT_LOCK = join(tmpdir(), 'gateway-tests-apt.lock');

/**
 * Installs package $2 for command $1. Another test may have been faster: they take turns. Debian asks policy-rc.d
 * whether a package may start its service at once, and here it may not.
 */
const INSTALL = `
set -e
if command -v "$1" >/dev/null; then exit; fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get -q update >/dev/null
apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$2" >/dev/null
`;

/** Time for `beforeAll` where packages may have to be installed first. */
export const INSTALLS_WITHIN_MS = 300_000;

/**
 * Makes sure that `command` can be run: it is on the PATH, or is installed when that is possible without asking
 * (root on Debian or Ubuntu). Otherwise throws the one line that says what to install.
 */
export function ensureCommand(
  command: string,
  debianPackage: string,
  advice = `install ${debianPackage}`,
): void {
  if (pathOf(command)) return;
  const missing = `The tests need ${command} on the PATH: ${advice}`;
  if (!isRootOnDebian()) throw new Error(missing);
  process.stderr.write(`${command} is missing: installing ${debianPackage} with apt-get\n`);
  try {
    execFileSync('flock', [APT_LOCK, 'sh', '-c', INSTALL, 'sh', command, debianPackage], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch (cause) {
    throw new Error(missing, { cause });
  }
  if (!pathOf(command)) throw new Error(`apt-get installed ${debianPackage}, but not ${command}`);
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads from its standard input; nothing when left out. */
  readonly input?: Buffer;
}

export interface Ran {
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command to its end. Rejects, with what it wrote, unless it exits with 0. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env = process.env, input = Buffer.alloc(0) }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(command, args, { cwd, env, timeout: RUNS_AT_MOST_MS });
  const exit = Promise.withResolvers<number | NodeJS.Signals | null>();
  child.once('error', exit.reject);
  child.once('close', (code, signal) => exit.resolve(code ?? signal));
  // A command that ends without reading its input has its reasons, which its exit code tells.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([
    buffer(child.stdout),
    buffer(child.stderr),
    exit.promise,
  ]);
  if (code === 0) return { stdout, stderr: stderr.toString() };
  throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
}

/** Where on the PATH `command` is. */
export function pathOf(command: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.map((directory) => join(directory, command)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isRootOnDebian(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}
