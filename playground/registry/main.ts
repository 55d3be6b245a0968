// Runs the service registry alone: node playground/registry/main.ts --port 9000
import '../lifeline.ts';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { portFlag } from '../flags.ts';
import { announce, endOnFault, endWith, listen, print, stopOnSignal } from '../lifecycle.ts';
import { assertFree } from '../ports.ts';
import { registryApp } from './app.ts';
import { keepChecking } from './healthChecks.ts';
import { Replicas } from './replicas.ts';

async function serveRegistry(wantedPort: number): Promise<void> {
  await assertFree([{ port: wantedPort, for: 'the registry', flag: '--port' }]);
  const stopping = stopOnSignal().signal;
  const replicas = new Replicas();
  const server = createServer(registryApp(replicas));
  const port = await listen(server, wantedPort);
  announce('The registry', port);
  await keepChecking(replicas, stopping);
  endWith(server);
}

const USAGE = 'Usage: node playground/registry/main.ts [--port 9000]';

await endOnFault(USAGE, async () => {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      port: { type: 'string', default: '9000' },
    },
  });
  if (values.help) print(USAGE);
  else await serveRegistry(portFlag('port', values.port));
});
