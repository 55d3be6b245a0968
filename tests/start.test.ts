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
  const optional = ['@redis/client', 'axios', 'p-limit', '@opentelemetry/sdk-trace'];
  expect(await loaded([...optional, 'express'], {})).toEqual(['express']);
  const registry = { SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9' };
  expect(await loaded(optional, registry)).toEqual(['axios', 'p-limit']);
}, 60_000);
