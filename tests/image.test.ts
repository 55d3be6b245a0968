import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { redisTestUrl, TEST_SECRET } from './support/gateway.ts';
import { Container, type Image, ImageBuilder } from './support/image.ts';
import { freePort } from './support/redis.ts';
import { startUpstream } from './support/upstream.ts';

const ROOT = join(import.meta.dirname, '..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** What ends up in an image. */
const SHIPPED = ['config', 'gateway', 'lib', 'playground'];

describe('what is shipped imports', () => {
  it.each(SHIPPED.flatMap((folder) => sourcesIn(folder)))('%s: nothing but production packages', (path) => {
    const allowed = Object.keys(MANIFEST.dependencies);
    const packages = packagesIn(readFileSync(join(ROOT, path), 'utf8'));
    expect(packages.filter((name) => !allowed.includes(name))).toEqual([]);
  });

  it.each([
    ["import { parse } from 'yaml';", ['yaml']],
    ["import a from 'a-b/c';\nexport * from '@d/e/f';", ['a-b', '@d/e']],
    ["await import('ws');", ['ws']],
    ["import 'express';", ['express']],
    ["import type { Dashboard } from '@grafana/schema';\nimport { join } from 'node:path';", []],
    ["import { a } from './a.ts';", []],
  ])('what they import: %s', (text, packages) => {
    expect(packagesIn(text)).toEqual(packages);
  });
});

const volumes: string[] = [];

// Mounts and process ids of its own are for root: an ordinary user runs these tests with sudo.
describe('the image', () => {
  let builder: ImageBuilder;
  let image: Image;

  beforeAll(async () => {
    if (process.getuid?.() !== 0) throw new Error('This test makes namespaces: run it as root');
    builder = new ImageBuilder();
    image = await builder.build('gateway');
  }, 180_000);

  afterAll(() => {
    builder?.remove();
    for (const directory of volumes) rmSync(directory, { recursive: true });
  });

  it('is the last stage, so that `docker build .` makes it', () => {
    expect(builder.targets).toEqual(['dependencies', 'base', 'playground', 'gateway']);
  });

  it('has the gateway, what it runs on, and nothing else', () => {
    expect(readdirSync(join(image.root, 'app')).sort()).toEqual([
      'LICENSE',
      'config',
      'gateway',
      'lib',
      'node_modules',
      'package.json',
    ]);
    const modules = join(image.root, 'app/node_modules');
    const missing = Object.keys(MANIFEST.dependencies).filter((name) => !existsSync(join(modules, name)));
    expect(missing).toEqual([]);
    const packages = readdirSync(modules);
    const forDevelopers = Object.keys(MANIFEST.devDependencies).filter((name) => !name.startsWith('@'));
    expect(forDevelopers.length).toBeGreaterThan(3);
    for (const name of forDevelopers) expect(packages).not.toContain(name);
  });

  it('says what it is and how it is stopped', () => {
    expect(image.labels).toMatchObject({
      'org.opencontainers.image.title': 'FAF CAB gateway',
      'org.opencontainers.image.licenses': MANIFEST.license,
    });
    expect(image.stopSignal).toBe('SIGTERM');
    expect(image.ports).toEqual([8000, 8001]);
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
    expect(dockerfile).toContain(`ARG VERSION=${MANIFEST.version}\n`);
  });

  it('runs as process 1, not as root, on a read-only file system, and drains', async () => {
    const answered = Promise.withResolvers<void>();
    await using upstream = await startUpstream(async (_req, res) => {
      await answered.promise;
      res.end('after all');
    });
    const services = [{ name: 'budgeting', path: '/budgeting', upstreams: [upstream.url.origin] }];
    const data = volume({ 'services.json': JSON.stringify({ services }) });
    const env = await environment({ REDIS_URL: redisTestUrl(), SERVICES_FILE: '/data/services.json' });
    await using container = new Container(image, { env, data });
    await container.untilHealthy();
    expect(container.status('NSpid').at(-1)).toBe('1');
    expect(container.status('Uid')).toEqual(['1000', '1000', '1000', '1000']);
    const slow = fetch(`http://127.0.0.1:${env.INTERNAL_PORT}/internal/budgeting/slow`);
    await eventually('the request', () => upstream.requests.length > 0);
    const stopped = container.stop();
    await eventually('it is not healthy any more', async () => !(await container.healthy()));
    answered.resolve();
    expect(await (await slow).text()).toBe('after all');
    expect(await stopped).toBe(0);
    expect(container.output).toContain('Drained');
  }, 60_000);

  it('keeps tokens in /data without Redis', async () => {
    // A new volume gets the owner that the directory has in the image.
    const { uid, gid } = statSync(join(image.root, 'data'));
    expect([uid, gid]).toEqual([1000, 1000]);
    const data = volume({});
    await using container = new Container(image, { env: await environment({}), data });
    await container.untilHealthy();
    expect(readdirSync(data)).not.toEqual([]);
    expect(await container.stop()).toBe(0);
  }, 60_000);

  it('says what it makes of the settings, by the command that docs/migrate-from-go.md has', async () => {
    const page = readFileSync(join(ROOT, 'docs/migrate-from-go.md'), 'utf8');
    const [, program = '', file = ''] = /--entrypoint (\S+) api-gateway (\S+)/.exec(page) ?? [];
    const check = { ...image, entrypoint: [program] };
    const env = { JWT_SECRET: 'your-secret-key-here', REQUEST_TIMEOUT: '"3s"' };
    await using refused = new Container(check, { command: [file], env });
    expect(await refused.exited).toBe(1);
    expect(refused.output).toMatch(/REQUEST_TIMEOUT is "\\"3s\\"": expected.*\n {2}JWT_SECRET is an example/);
    await using accepted = new Container(check, { command: [file], env: await environment({}) });
    expect(await accepted.exited).toBe(0);
    expect(accepted.output).toMatch(/^NODE_ENV +production +environment$/m);
  }, 60_000);

  it('is unhealthy where no gateway listens', async () => {
    await using container = new Container(image, { env: await environment({ JWT_SECRET: '' }) });
    expect(await container.exited).toBe(1);
    expect(container.output).toContain('JWT_SECRET is not set');
    expect(await container.healthy()).toBe(false);
  }, 60_000);

  it('of the playground runs a registry and services that register under their own address', async () => {
    const playground = await builder.build('playground');
    const port = String(await freePort());
    const registryUrl = `http://127.0.0.1:${port}`;
    await using registry = new Container(playground, {
      command: ['playground/registry/main.ts', '--port', port],
    });
    await eventually('the registry', async () => (await fetch(`${registryUrl}/health`)).ok);
    await using service = new Container(playground, {
      // The one that needs most: a WebSocket server.
      command: [
        'playground/serve.ts',
        '--service',
        'communication',
        '--port',
        '0',
        '--registry',
        registryUrl,
      ],
    });
    const [listed] = await eventually('it is listed', async () => {
      const list = (await (await fetch(`${registryUrl}/services`)).json()) as Listed[] | null;
      return list?.[0]?.status === 'healthy' ? list : undefined;
    });
    expect(listed).toMatchObject({ name: 'communication' });
    // Loopback would be the registry's own container.
    expect(new URL(listed?.url ?? '').hostname).not.toMatch(/^(localhost|0\.0\.0\.0)$/);
    expect(await service.stop()).toBe(0);
    expect(await registry.stop()).toBe(0);
  }, 60_000);
});

interface Listed {
  readonly name: string;
  readonly url: string;
  readonly status: string;
}

/** A directory to mount at /data. */
function volume(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-volume-'));
  volumes.push(directory);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  chownSync(directory, 1000, 1000);
  return directory;
}

/** What `docker run -e` would be given. */
async function environment(extra: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  return {
    JWT_SECRET: TEST_SECRET,
    EXTERNAL_PORT: String(await freePort()),
    INTERNAL_PORT: String(await freePort()),
    STORE_TIMEOUT: '2s',
    ...extra,
  };
}

/** Packages that a source needs at run time: types leave nothing behind. */
function packagesIn(text: string): string[] {
  const code = text.replaceAll(/^import type [^;]*;/gm, '');
  const imports = [...code.matchAll(/\b(?:from|import)\s*\(?\s*'([@\w][^'\s]*)'/g)];
  return imports
    .map(([, name = '']) => name)
    .filter((name) => !isBuiltin(name))
    .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path));
}
