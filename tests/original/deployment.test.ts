import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readCompose } from '../support/deploy/compose.ts';
import { assignments, readDockerfile } from '../support/deploy/dockerfile.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, redisTestUrl, TEST_SECRET, tokenFor } from '../support/gateway/gateway.ts';
import { runGateway } from '../support/gateway/gatewayRun.ts';
import { freePort } from '../support/stores/redis.ts';
import { sendJson, startUpstream } from '../support/upstreams/upstream.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Files of the project that `npm run dev` needs. */
const SOURCES = ['config', 'gateway', 'lib', 'package.json'];

/** What the image sets for itself. */
const IMAGE_ENV = Object.assign(
  {},
  ...readDockerfile(join(ROOT, 'Dockerfile'))
    .filter(({ name }) => name === 'base' || name === 'gateway')
    .flatMap(({ instructions }) => instructions)
    .filter(({ name }) => name === 'ENV')
    .map(({ text }) => assignments(text)),
);

/** A registry with one replica of budgeting. */
async function startStack() {
  const stack = new AsyncDisposableStack();
  const { url } = stack.use(await startUpstream());
  const entry = { name: 'budgeting', host: url.hostname, port: Number(url.port), status: 'healthy' };
  const registry = stack.use(await startUpstream((_req, res) => sendJson(res, [entry])));
  return { registry: registry.url.origin, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Without services of the test's own, and with nothing said but what the image and `env` say. */
function runImage(env: Record<string, string>, files: Record<string, string> = {}) {
  const unset = { GATEWAY_FILE: '', JWT_SECRET: '', STORE_TIMEOUT: '2s' };
  // The image's directory for data is not this machine's to write to; runGateway names another.
  const { DATA_DIR: _, ...image } = IMAGE_ENV;
  return runGateway({ services: {}, env: { ...image, ...unset, ...env }, files });
}

async function expectServing(run: ReturnType<typeof runImage>): Promise<void> {
  const { external, internal } = await run.listening();
  await eventually('it is ready', async () => (await fetch(`${external}/readyz`)).ok);
  const headers = bearer(tokenFor('ann'));
  expect((await fetch(`${external}/budgeting/api/transactions`, { headers })).status).toBe(200);
  expect((await fetch(`${internal}/internal/budgeting/api/transactions`)).status).toBe(200);
  // How the original says that it is well.
  expect((await fetch(`${external}/metrics`)).status).toBe(200);
}

describe('the image started as the original is', () => {
  it('by docker run: JWT_SECRET, REDIS_HOST and SERVICE_DISCOVERY_URL are all it needs', async () => {
    await using world = await startStack();
    const redis = new URL(redisTestUrl());
    await using run = runImage({
      JWT_SECRET: TEST_SECRET,
      REDIS_HOST: redis.hostname,
      REDIS_PORT: redis.port,
      REDIS_DB: redis.pathname.slice(1),
      SERVICE_DISCOVERY_URL: world.registry,
    });
    await expectServing(run);
  }, 30_000);

  it('by docker service create and in a Swarm: JWT_SECRET_FILE and no Redis', async () => {
    await using world = await startStack();
    const files = { jwt_secret: `${TEST_SECRET}\n` };
    await using run = runImage(
      { JWT_SECRET_FILE: 'jwt_secret', SERVICE_DISCOVERY_URL: world.registry },
      files,
    );
    await expectServing(run);
  }, 30_000);

  it('with a file .env instead of variables', async () => {
    await using world = await startStack();
    const dotenv = `SERVICE_DISCOVERY_URL=${world.registry}\n`;
    await using run = runImage({ JWT_SECRET: TEST_SECRET }, { '.env': dotenv });
    await expectServing(run);
  }, 30_000);
});

describe('docker-compose.yaml', () => {
  const { services } = readCompose('docker-compose.yaml');

  it('has the services that the commands of the original name', () => {
    const named = ['api-gateway', 'redis', 'prometheus', 'grafana', 'service-discovery', 'budgeting-service'];
    expect(named.filter((name) => !(name in services))).toEqual([]);
  });

  it('shows Prometheus at 9090 and Grafana at 3000, to this machine', () => {
    expect(services.prometheus?.ports).toEqual(['127.0.0.1:9090:9090']);
    expect(services.grafana?.ports).toEqual(['127.0.0.1:3000:3000']);
  });

  it('lets a service be scaled: only the gateway and the monitors have ports of their own', () => {
    const published = Object.entries(services).filter(([, { ports = [] }]) => ports.length > 0);
    expect(published.map(([name]) => name)).toEqual(['api-gateway', 'prometheus', 'grafana']);
  });
});

describe('docker-compose.swarm.yml', () => {
  it('runs pad-gateway:latest in a Swarm, on the network of the services', () => {
    const { services, networks } = readCompose('docker-compose.swarm.yml', { VERSION: 'latest' });
    // The registry and the version are the operator's.
    expect(services['api-gateway']?.image).toBe('pad-gateway:latest');
    expect(services['api-gateway']?.networks).toContain('microservices');
    expect(networks.microservices).toEqual({ external: true });
  });
});

describe('npm run dev', () => {
  it('starts the gateway anew when a source changes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'gateway-dev-'));
    for (const name of SOURCES) {
      cpSync(join(ROOT, name), join(directory, name), { recursive: true, verbatimSymlinks: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    expect(existsSync(join(directory, '.env'))).toBe(false);
    const env = {
      ...process.env,
      JWT_SECRET: TEST_SECRET,
      EXTERNAL_PORT: String(await freePort()),
      INTERNAL_PORT: String(await freePort()),
      SERVICE_DISCOVERY_URL: 'http://127.0.0.1:1',
    };
    const child = spawn('npm', ['run', 'dev'], { cwd: directory, env, detached: true });
    let printed = '';
    for (const output of [child.stdout, child.stderr]) output.on('data', (text) => (printed += text));
    const starts = () => printed.split('Gateway listening').length - 1;
    try {
      await eventually('it listens', () => starts() === 1, 30_000);
      const source = join(directory, 'gateway/process/version.ts');
      writeFileSync(source, readFileSync(source, 'utf8'));
      await eventually('it listens again', () => starts() === 2, 30_000);
    } finally {
      await endGroup(child);
      rmSync(directory, { recursive: true, force: true });
    }
  }, 90_000);
});

/** npm, the shell that it starts, and what that starts. */
async function endGroup(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  await closed;
}
