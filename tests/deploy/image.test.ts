import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join, matchesGlob } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { Container, type Image, ImageBuilder } from '../support/deploy/image.ts';
import { filesIn, importsIn, layerBytesOf, missingFrom, removedPaths } from '../support/deploy/imageFiles.ts';
import { eventually } from '../support/eventually.ts';
import { redisTestUrl, TEST_SECRET } from '../support/gateway/gateway.ts';
import { freePort } from '../support/stores/redis.ts';
import { sendJson, startUpstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

const ROOT = join(import.meta.dirname, '../..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const LOCK = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
const LARGEST_BYTES = 26e6;
/** As OpenShift makes them up: a user that no file belongs to, in group 0. */
const RANDOM_USER = '1000660000:0';
/** What ends up in an image. */
const SHIPPED = ['config', 'gateway', 'lib', 'playground'];
/** What the image of the playground has besides. */
const PLAYGROUND_ONLY = ['ws'];

it('keeps what glibc has freed in two places at most', () => {
  expect(readFileSync(join(ROOT, 'Dockerfile'), 'utf8')).toMatch(/^ENV MALLOC_ARENA_MAX=2$/m);
});

describe('what is shipped imports', () => {
  it.each(SHIPPED.flatMap((folder) => sourcesIn(folder)))('%s: nothing but production packages', (path) => {
    const allowed = [
      ...Object.keys(MANIFEST.dependencies),
      ...(path.startsWith('playground/') ? PLAYGROUND_ONLY : []),
    ];
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
  }, 300_000);

  afterAll(() => {
    builder?.remove();
    for (const directory of volumes) rmSync(directory, { recursive: true });
  });

  it('is the last stage, so that `docker build .` makes it', () => {
    expect(builder.targets).toEqual([
      'dependencies',
      'base',
      'playground-dependencies',
      'playground',
      'compiled',
      'gateway',
    ]);
  });

  it('has the Node that these tests run on', () => {
    const { version } = LOCK.packages['node_modules/node'];
    expect(builder.baseImages).toEqual([`node:${version}-slim`]);
    expect(process.version).toBe(`v${version}`);
    expect(MANIFEST.engines.node).toBe(`>=${version.split('.')[0]}`);
  });

  it('has the gateway, what it runs on, and nothing else', () => {
    expect(readdirSync(join(image.root, 'app')).sort()).toEqual([
      'LICENSE',
      'compiled',
      'config',
      'gateway',
      'lib',
      'node_modules',
      'package.json',
      'sbom.cdx.json',
    ]);
    const modules = join(image.root, 'app/node_modules');
    const missing = Object.keys(MANIFEST.dependencies).filter((name) => !existsSync(join(modules, name)));
    expect(missing).toEqual([]);
    const packages = readdirSync(modules);
    const forDevelopers = Object.keys(MANIFEST.devDependencies).filter((name) => !name.startsWith('@'));
    expect(forDevelopers.length).toBeGreaterThan(3);
    for (const name of forDevelopers) expect(packages).not.toContain(name);
  });

  it('has nothing of packages that is only for developers, and every licence', () => {
    const packages = join(image.root, 'app/node_modules');
    const files = filesIn(packages);
    const isLicence = (path: string) => /(^|\/)(licen[cs]e|notice)[^/]*$/i.test(path);
    const forDevelopers =
      /\.(map|[cm]?ts|md)$|(^|\/)(tests?|examples|docs|benchmarks|browser|\.github|\.nyc_output)\//i;
    expect(files.filter((path) => forDevelopers.test(path) && !isLicence(path))).toEqual([]);
    const whole = join(ROOT, 'node_modules');
    const licences = filesIn(whole).filter(
      (path) => isLicence(path) && existsSync(join(packages, path, '../package.json')),
    );
    expect(licences.length).toBeGreaterThan(100);
    expect(licences.filter((path) => !existsSync(join(packages, path)))).toEqual([]);
    const removed = removedPaths(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
    expect(removed.filter((pattern) => globSync(pattern, { cwd: whole }).length === 0)).toEqual([]);
    expect(files.filter((path) => removed.some((pattern) => matchesGlob(path, pattern)))).toEqual([]);
    expect(missingFrom(packages, whole, removed)).toEqual([]);
  });

  it('has every module that can come to be imported', async () => {
    const whole = await importsIn(ROOT);
    const app = join(image.root, 'app');
    const missed = async () =>
      (await importsIn(app)).unresolved.filter((line) => !whole.unresolved.includes(line));
    expect(whole.read).toBeGreaterThan(2_000);
    expect(await missed()).toEqual([]);
    // It would be seen.
    for (const [path, line] of [
      ['index.mjs', 'lib/tracing/openTelemetry.ts: @opentelemetry/semantic-conventions'],
      [
        'stable_events.mjs',
        'node_modules/@opentelemetry/semantic-conventions/dist/index.mjs: ./stable_events.mjs',
      ],
    ] as const) {
      const file = join(app, 'node_modules/@opentelemetry/semantic-conventions/dist', path);
      renameSync(file, `${file}.away`);
      const without = await missed();
      renameSync(`${file}.away`, file);
      expect(without).toContain(line);
    }
  });

  it('adds at most 26 MB to its base', () => {
    expect(layerBytesOf(join(image.root, 'app'))).toBeLessThan(LARGEST_BYTES);
  });

  it('lists what is in it, the same at each build', () => {
    const text = readFileSync(join(image.root, 'app/sbom.cdx.json'), 'utf8');
    const { bomFormat, components, serialNumber, metadata } = JSON.parse(text);
    expect([bomFormat, serialNumber, metadata.timestamp]).toEqual(['CycloneDX', undefined, undefined]);
    const listed = components.map(({ purl }: { purl: string }) => decodeURIComponent(purl));
    const installed = Object.entries<{ version: string }>(LOCK.packages)
      .filter(([path]) => path !== '' && existsSync(join(image.root, 'app', path)))
      .map(([path, { version }]) => `pkg:npm/${path.split('node_modules/').at(-1)}@${version}`);
    expect(installed.length).toBeGreaterThan(100);
    expect(new Set(listed)).toEqual(new Set(installed));
  });

  it('says what it is and how it is stopped', () => {
    expect(image.labels).toMatchObject({
      'org.opencontainers.image.title': 'FAF CAB gateway',
      'org.opencontainers.image.description': expect.any(String),
      'org.opencontainers.image.licenses': MANIFEST.license,
      'org.opencontainers.image.version': MANIFEST.version,
      // Given at the build.
      'org.opencontainers.image.revision': 'unknown',
      'org.opencontainers.image.base.name': builder.baseImages[0],
    });
    expect(image.stopSignal).toBe('SIGTERM');
    expect(image.ports).toEqual([8000, 8001]);
  });

  it('runs as process 1, not as root, on a read-only file system, and drains', async () => {
    const answered = Promise.withResolvers<void>();
    await using upstream = await startUpstream(async (_req, res) => {
      await answered.promise;
      res.end('after all');
    });
    const services = [{ name: 'budgeting', path: '/budgeting', upstreams: [upstream.url.origin] }];
    const data = volume({ 'gateway.json': JSON.stringify({ services }) });
    const env = await environment({ REDIS_URL: redisTestUrl(), GATEWAY_FILE: '/data/gateway.json' });
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

  it.each([
    { file: 'gateway.yaml', text: (json: string) => `# YAML\n${json}` },
    { file: 'gateway.ts', text: (json: string) => `const file: object = ${json};\nexport default file;` },
  ])(
    'has what a gateway loads only when it is asked to: keys of an issuer, WebSockets, spans, $file',
    async ({ file, text }) => {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519');
      const keys = [{ ...(await exportJWK(publicKey)), kid: 'a' }];
      await using issuer = await startUpstream((_req, res) => sendJson(res, { keys }));
      await using collector = await startUpstream((_req, res) => void res.end('{}'));
      await using sockets = await startSocketService();
      const services = [{ name: 'communication', path: '/communication', upstreams: [sockets.url.origin] }];
      const env = await environment({
        JWT_SECRET: '',
        JWKS_URL: issuer.url.href,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin,
        // Else it warns that no service has these.
        AUTH_ISSUE_PATHS: '/communication/login',
        AUTH_REVOKE_PATHS: '/communication/logout',
        GATEWAY_FILE: `/data/${file}`,
      });
      const data = volume({ [file]: text(JSON.stringify({ services })) });
      await using container = new Container(image, { env, data });
      await container.untilHealthy();
      const token = new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'EdDSA', kid: 'a' });
      const headers = { Authorization: `Bearer ${await token.setExpirationTime('1h').sign(privateKey)}` };
      const socket = new WebSocket(`ws://127.0.0.1:${env.EXTERNAL_PORT}/communication/x`, { headers });
      await once(socket, 'open');
      socket.send('echo');
      const [echo] = await once(socket, 'message');
      expect(String(echo)).toBe('echo');
      socket.close();
      await once(socket, 'close');
      expect(await container.stop()).toBe(0);
      expect(collector.requests.map(({ body }) => String(body)).join()).toContain('/communication');
      expect(container.output.match(/.*"level":"(warn|error)".*/g) ?? []).toEqual([]);
    },
    60_000,
  );

  it.each(['1000:1000', RANDOM_USER])(
    'run as %s starts compiled, and keeps tokens in /data',
    async (user) => {
      const data = volume({}, '1000:0');
      // A new volume gets the owner and the mode that the directory has in the image.
      const { uid, gid, mode } = statSync(join(image.root, 'data'));
      expect([uid, gid, mode & 0o7777]).toEqual([1000, 0, 0o770]);
      chmodSync(data, mode);
      const env = await environment({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
      await using container = new Container(image, { env, data, user });
      await container.untilHealthy();
      expect(readdirSync(data)).toContain('tokens.db');
      expect(await container.stop()).toBe(0);
      expect(container.output.match(/.*"level":"warn".*/g) ?? []).toEqual([]);
      const uses = container.output.matchAll(/^\[compile cache\] (V8 code|no transpile) cache for .*$/gm);
      const used = Array.from(uses, ([line]) => line);
      expect(used.length).toBeGreaterThan(500);
      expect(used.filter((line) => !line.includes(' was accepted'))).toEqual([]);
    },
    60_000,
  );

  it('has compiled code that nobody but root can write', () => {
    const compiled = join(image.root, 'app/compiled');
    const all = [compiled, ...readdirSync(compiled).map((name) => join(compiled, name))];
    const permissions = all.map((path) => statSync(path)).map(({ uid, mode }) => [uid, mode & 0o7777]);
    expect(new Set(permissions.map(String))).toEqual(new Set(['0,493', '0,420']));
  });

  it('takes at most two thirds of the CPU to start that it would take if nothing were compiled', async () => {
    const compiled: number[] = [];
    const not: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      not.push(await cpuOfStart(image, { NODE_DISABLE_COMPILE_CACHE: '1' }));
      compiled.push(await cpuOfStart(image, {}));
    }
    expect(Math.min(...compiled) / Math.min(...not)).toBeLessThan(0.66);
  }, 240_000);

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
function volume(files: Readonly<Record<string, string>>, owner = '1000:1000'): string {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-volume-'));
  volumes.push(directory);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  const [uid = 0, gid = 0] = owner.split(':').map(Number);
  chownSync(directory, uid, gid);
  return directory;
}

/** Seconds of CPU that a gateway has taken when it listens. */
async function cpuOfStart(image: Image, extra: Readonly<Record<string, string>>): Promise<number> {
  const env = await environment({ REDIS_URL: redisTestUrl(), ...extra });
  await using container = new Container(image, { env });
  const listening = eventually('it listens', () => container.output.includes('"Gateway listening'), 60_000);
  const ended = container.exited.then((code) => {
    throw new Error(`ended with ${code}:\n${container.output}`);
  });
  await Promise.race([listening, ended]);
  return container.cpuSeconds;
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
