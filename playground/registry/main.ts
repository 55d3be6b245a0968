// Runs the service registry alone: node playground/registry/main.ts --port 9000
import '../lifeline.ts';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { portFlag, registryFormFlag } from '../flags.ts';
import { assertFree } from '../ports.ts';
import { announce, endOnFault, endWith, listen, print, stopOnSignal } from '../replica/lifecycle.ts';
import { registryApp } from './app.ts';
import { DEFAULT_REGISTRY_FORM, REGISTRY_FORMS, REGISTRY_FORMS_HELP, type RegistryForm } from './forms.ts';
import { keepChecking } from './healthChecks.ts';
import { Replicas } from './replicas.ts';

async function serveRegistry(wantedPort: number, form: RegistryForm): Promise<void> {
  await assertFree([{ port: wantedPort, for: 'the registry', flag: '--port' }]);
  const stopping = stopOnSignal().signal;
  const replicas = new Replicas();
  const server = createServer(registryApp(replicas, { form }));
  const port = await listen(server, wantedPort);
  announce('The registry', port);
  await keepChecking(replicas, stopping);
  endWith(server);
}

const USAGE = `Usage: node playground/registry/main.ts [--port 9000] [--registry-form ${REGISTRY_FORMS.join('|')}]

The forms, of which ${DEFAULT_REGISTRY_FORM} is the default:
${REGISTRY_FORMS_HELP}`;

await endOnFault(USAGE, async () => {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      port: { type: 'string', default: '9000' },
      'registry-form': { type: 'string', default: DEFAULT_REGISTRY_FORM },
    },
  });
  if (values.help) print(USAGE);
  else await serveRegistry(portFlag('port', values.port), registryFormFlag(values['registry-form']));
});
