// Runs one replica of one service: node playground/serve.ts --service budgeting --port 8087
import './lifeline.ts';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isServiceName, registryNameOf, SERVICE_NAMES, type ServiceName } from './catalogue.ts';
import { ownAddress } from './container.ts';
import { FlagError, portFlag } from './flags.ts';
import { announce, endOnFault, endWith, listen, print, stoppingSignal } from './lifecycle.ts';
import { assertFree } from './ports.ts';
import { Registration } from './registration.ts';
import { replicaIdOf, serverFor } from './service.ts';
import type { Replica } from './services/contract.ts';

const USAGE = `Usage: node playground/serve.ts --service budgeting --port 8087 [--replica 1] [--registry URL]`;

interface ServeFlags {
  readonly service: ServiceName;
  readonly port: number;
  /** Which replica of the service this is, counted from 1. */
  readonly number: number;
  /** Missing: it registers nowhere. */
  readonly registryUrl: string | undefined;
}

function readFlags(): ServeFlags {
  const { service, port, replica, registry } = parseArgs({
    options: {
      service: { type: 'string', default: '' },
      port: { type: 'string', default: '' },
      replica: { type: 'string', default: '1' },
      registry: { type: 'string' },
    },
  }).values;
  if (!isServiceName(service)) {
    throw new FlagError(
      `--service must be one of ${SERVICE_NAMES.join(', ')}, got ${JSON.stringify(service)}`,
    );
  }
  if (!/^[1-9]\d?$/.test(replica))
    throw new FlagError(`--replica must be 1 to 99, got ${JSON.stringify(replica)}`);
  return { service, port: portFlag('port', port), number: Number(replica), registryUrl: registry };
}

async function serve({ service, port: wantedPort, number, registryUrl }: ServeFlags): Promise<void> {
  await assertFree([{ port: wantedPort, for: service, flag: '--port' }]);
  const stopping = stoppingSignal();
  const replica = { service, id: replicaIdOf(service, number) };
  const server = await serverFor(replica, process.env, stopping);
  const port = await listen(server, wantedPort);
  const url = `http://${await ownAddress()}:${port}`;
  const registration =
    registryUrl === undefined ? undefined : registrationOf(replica, url, port, registryUrl);
  await registration?.ensure();
  announce(replica.id, port);
  await (registration?.keep(stopping) ?? once(stopping, 'abort'));
  endWith(server);
}

function registrationOf(
  { service, id }: Replica,
  url: string,
  port: number,
  registryUrl: string,
): Registration {
  const entry = { name: registryNameOf(service), host: id, port, url, health_check: '/health' };
  return new Registration({ registryUrl, entry, print });
}

await endOnFault(USAGE, () => serve(readFlags()));
