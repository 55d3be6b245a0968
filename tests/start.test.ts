import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startGatewayProcess } from './support/gatewayProcess.ts';

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
    'rate-limiter-flexible',
    'http-proxy-middleware',
  ];
  expect(await loaded([...optional, 'express'], {})).toEqual(['express']);
  const registry = { SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9' };
  expect(await loaded(optional, registry)).toEqual(['axios', 'p-limit']);
  const limited = { RATE_LIMIT_PER_ADDRESS: '100/1m' };
  expect(await loaded(optional, limited)).toEqual(['rate-limiter-flexible']);
  const keys = { JWKS_URL: 'http://127.0.0.1:9/keys', JWT_ALGORITHMS: 'RS256' };
  expect(await loaded(optional, keys)).toEqual(['jose/dist/webapi/jwt']);
}, 60_000);
