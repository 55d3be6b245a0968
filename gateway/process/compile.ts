import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

// For an installation that the gateway's own user may not write to, such as an image: compiledCode.js reads what this
// leaves behind.

const USAGE = `Usage: npm run compile      or      node gateway/process/compile.ts

Compiles the gateway for the starts to come, as whoever owns the code: it is started a few times, and what V8 has made of
it is left in the directory compiled. A start then takes about half the CPU.

  -h, --help  print this and stop
`;

const ROOT = join(import.meta.dirname, '../..');
const COMPILED = join(ROOT, 'compiled');
const ENDS_WITHIN_MS = 120_000;
const FOR_ALL = { directory: 0o755, file: 0o644 };

/**
 * Each loads what the others do not. What the first one runs is compiled best, so that is what most gateways do. What
 * traces requests is left out: it would take as much room as a seventh of all else.
 */
const STARTS: readonly Readonly<Record<string, string>>[] = [
  { REDIS_URL: 'redis://127.0.0.1:9', REDIS_REQUIRED: 'false', SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9' },
  { RATE_LIMIT_PER_ADDRESS: '100/1m' },
  { WORKERS: '2', SERVICE_DISCOVERY_URL: 'dns://{name}.localhost' },
];

process.exitCode = await main(process.argv.slice(2));

/** Runs the command; gives its exit code. */
async function main(args: string[]): Promise<number> {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
    if (values.help) process.stdout.write(USAGE);
    else await compile();
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
}

async function compile(): Promise<void> {
  const directory = mkdtempSync(join(ROOT, 'compiling-'));
  const cache = join(directory, 'cache');
  let compiled: string | undefined;
  try {
    for (const [index, variables] of STARTS.entries()) {
      process.stdout.write(`Start ${index + 1} of ${STARTS.length}\n`);
      await startOnce(directory, variables);
      // Worker threads run with other flags, and Node keeps what it compiles for them in another directory: not this one.
      compiled ??= readdirSync(cache)[0];
    }
    ship(join(cache, compiled ?? ''));
    process.stdout.write(`Compiled into ${COMPILED}\n`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Node writes what it has compiled when the gateway ends, and the gateway is told to once it listens. */
async function startOnce(directory: string, variables: Readonly<Record<string, string>>): Promise<void> {
  const home = mkdtempSync(join(directory, 'start-'));
  const gateway = spawn(process.execPath, ['--disable-sigusr1', join(ROOT, 'gateway/main.ts')], {
    // There is no .env, and what the embedded store writes goes with it.
    cwd: home,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: join(directory, 'cache'),
      JWT_SECRET: randomBytes(32).toString('base64'),
      DATA_DIR: join(home, 'data'),
      EXTERNAL_HOST: '127.0.0.1',
      INTERNAL_HOST: '127.0.0.1',
      EXTERNAL_PORT: '0',
      INTERNAL_PORT: '0',
      DRAIN_GRACE: '0',
      ...variables,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: ENDS_WITHIN_MS,
  });
  const exited = once(gateway, 'exit');
  createInterface({ input: gateway.stdout }).on('line', (line) => {
    if (line.includes('"Gateway listening')) gateway.kill('SIGTERM');
  });
  const [code, signal] = await exited;
  if (code !== 0) throw new Error(`the gateway ended with ${code ?? signal} (${JSON.stringify(variables)})`);
}

/** Takes the place of what was compiled before. Whoever runs the gateway may read it, and nobody but its owner write. */
function ship(compiled: string): void {
  for (const name of readdirSync(compiled)) chmodSync(join(compiled, name), FOR_ALL.file);
  chmodSync(compiled, FOR_ALL.directory);
  rmSync(COMPILED, { recursive: true, force: true });
  renameSync(compiled, COMPILED);
}
