// Runs the service registry alone: node playground/registry/main.ts --port 9000
import '../lifeline.ts';
import { createServer } from 'node:http';
import { type Command, helpOf, parseFlags } from '../../config/commandLine/flags.ts';
import { DEFAULT_REGISTRY_PORT, port, registryForm } from '../flags.ts';
import { assertFree } from '../ports.ts';
import { announce, endOnFault, endWith, listen, print, stopOnSignal } from '../replica/lifecycle.ts';
import { registryApp } from './app.ts';
import type { RegistryForm } from './forms.ts';
import { keepChecking } from './healthChecks.ts';
import { Replicas } from './replicas.ts';

async function serveRegistry(wantedPort: number, form: RegistryForm): Promise<void> {
  await assertFree([{ port: wantedPort, for: 'the registry', flag: '--port' }]);
  const stopping = stopOnSignal().signal;
  const replicas = new Replicas();
  const server = createServer(registryApp(replicas, { form }));
  announce('The registry', await listen(server, wantedPort));
  await keepChecking(replicas, stopping);
  endWith(server);
}

const flags = { port: port(DEFAULT_REGISTRY_PORT, 'where it listens'), registryForm: registryForm() };

const COMMAND: Command<typeof flags> = {
  about: 'Runs the service registry alone.',
  usage: ['node playground/registry/main.ts'],
  flags,
};

await endOnFault(helpOf(COMMAND), async () => {
  const { help, port: wantedPort, registryForm: form } = parseFlags(COMMAND, process.argv.slice(2));
  if (help) print(helpOf(COMMAND));
  else await serveRegistry(wantedPort, form);
});
