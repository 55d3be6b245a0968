import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readDockerfile } from '../support/deploy/dockerfile.ts';
import { Engine, whyNoEngine } from '../support/deploy/engine.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_SECRET } from '../support/gateway/gateway.ts';
import { freePort } from '../support/stores/redis.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

const ROOT = join(import.meta.dirname, '../..');
const LARGEST_BYTES = 26e6;
const MEMORY_BYTES = 256 * 2 ** 20;
/** As OpenShift makes them up. */
const RANDOM_USER = '1000660000:0';
const KILLED = '137';

const reason = whyNoEngine();
const described = reason === undefined ? 'with podman' : `with podman (skipped: ${reason})`;

// What image.test.ts replays, done by a real engine: `npm run test:engine`.
(reason === undefined ? describe : describe.skip)(described, () => {
  let engine: Engine;
  let directory: string;

  beforeAll(async () => {
    engine = new Engine();
    directory = mkdtempSync(join(tmpdir(), 'gateway-engine-files-'));
    chmodSync(directory, 0o755);
    const [stage] = readDockerfile(join(ROOT, 'Dockerfile'));
    await engine.importBase(stage?.from ?? '');
    await engine.build(ROOT, 'gateway');
    await engine.build(ROOT, 'playground');
  }, 600_000);

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  }, 120_000);

  const sizeOf = async (image: string) =>
    Number(await engine.podman('image', 'inspect', image, '--format', '{{.Size}}'));
  const healthy = async (name: string) => (await engine.tried('healthcheck', 'run', name)).code === 0;
  const exitCodeOf = (name: string) => engine.podman('inspect', name, '--format', '{{.State.ExitCode}}');
  const untilHealthy = (name: string) => eventually('the container is healthy', () => healthy(name), 60_000);

  /** As strictly as any platform would: no user of the image's, nothing to write to but /data, no capability. */
  async function start(name: string, services: string, ports: { external: number; internal: number }) {
    writeFileSync(join(directory, 'gateway.json'), services);
    const env = {
      JWT_SECRET: TEST_SECRET,
      GATEWAY_FILE: '/services/gateway.json',
      EXTERNAL_PORT: ports.external,
      INTERNAL_PORT: ports.internal,
    };
    await engine.podman(
      ...['run', '--detach', '--name', name, '--network', 'host', '--user', RANDOM_USER],
      ...['--read-only', '--read-only-tmpfs=false', '--memory', String(MEMORY_BYTES)],
      ...['--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
      ...['--volume', `${name}-data:/data`, '--volume', `${directory}:/services:ro`],
      ...Object.entries(env).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]),
      'gateway',
    );
    await untilHealthy(name);
  }

  it('the image adds at most 26 MB to its base', async () => {
    const [stage] = readDockerfile(join(ROOT, 'Dockerfile'));
    const bytes = (await sizeOf('gateway')) - (await sizeOf(`localhost/${stage?.from}`));
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(LARGEST_BYTES);
  }, 60_000);

  it('the gateway serves, drains as process 1, and starts again after it was killed', async () => {
    const answered = Promise.withResolvers<void>();
    await using upstream = await startUpstream(async (req, res) => {
      if (req.url?.endsWith('/slow')) await answered.promise;
      res.end('after all');
    });
    const services = [{ name: 'budgeting', path: '/budgeting', upstreams: [upstream.url.origin] }];
    const ports = { external: await freePort(), internal: await freePort() };
    await start('one', JSON.stringify({ services }), ports);
    const ask = (path: string) => fetch(`http://127.0.0.1:${ports.internal}/internal/budgeting/${path}`);

    const limit = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max';
    expect(await engine.podman('exec', 'one', 'sh', '-c', limit)).toBe(String(MEMORY_BYTES));
    expect(await engine.podman('exec', 'one', 'cat', '/proc/1/status')).toMatch(/^Uid:\t1000660000\b/m);
    for (const place of ['/app/compiled/x', '/tmp/x'])
      expect((await engine.tried('exec', 'one', 'sh', '-c', `echo >${place}`)).code).not.toBe(0);

    const slow = ask('slow');
    await eventually('the request', () => upstream.requests.length > 0);
    const stopped = engine.podman('stop', '--time', '30', 'one');
    await eventually('it is not healthy any more', async () => !(await healthy('one')));
    answered.resolve();
    expect(await (await slow).text()).toBe('after all');
    await stopped;
    expect(await exitCodeOf('one')).toBe('0');
    expect(await engine.podman('logs', 'one')).toContain('Drained');

    await engine.podman('start', 'one');
    await untilHealthy('one');
    await engine.podman('kill', '--signal', 'KILL', 'one');
    expect(await engine.podman('wait', 'one')).toBe(KILLED);
    await engine.podman('start', 'one');
    await untilHealthy('one');
    expect(await (await ask('fast')).text()).toBe('after all');
  }, 240_000);

  it('the registry of the playground serves', async () => {
    const port = await freePort();
    const command = ['playground/registry/main.ts', '--port', String(port)];
    await engine.podman(
      ...['run', '--detach', '--name', 'registry', '--network', 'host', '--read-only'],
      ...['playground', ...command],
    );
    await eventually('the registry', async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok, 30_000);
    await engine.podman('stop', 'registry');
    expect(await exitCodeOf('registry')).toBe('0');
  }, 120_000);
});
