// Runs one replica of one service: node playground/serve.ts --service budgeting --port 8087
import './lifeline.ts';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isServiceName, registryNameOf, SERVICE_NAMES, type ServiceName } from './catalogue.ts';
import { FlagError, portFlag } from './flags.ts';
import { isMessage, tellParent } from './messages.ts';
import { assertFree } from './ports.ts';
import { ownAddress } from './replica/container.ts';
import { type Faults, misbehave, NO_FAULTS } from './replica/faults.ts';
import { announce, endOnFault, endWith, listen, print, stopOnSignal } from './replica/lifecycle.ts';
import { Registration } from './replica/registration.ts';
import { replicaIdOf, serverFor } from './replica/service.ts';
import { Traffic } from './replica/traffic.ts';
import { HEALTH_PATH } from './services/common.ts';
import type { Replica } from './services/contract.ts';

const USAGE = `Usage: node playground/serve.ts --service budgeting --port 8087 [--replica 1] [--registry URL]`;

/** A replica that leaves waits so long for the last requests of those who have not noticed yet. */
const LEAVES_AFTER_QUIET_MS = 1000;

interface ServeFlags {
  readonly service: ServiceName;
  readonly port: number;
  /** Which replica of the service this is, counted from 1. */
  readonly number: number;
  /** Missing: it registers nowhere. */
  readonly registryUrl: string | undefined;
}

function readFlags(): ServeFlags | 'help' {
  const { help, service, port, replica, registry } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      service: { type: 'string', default: '' },
      port: { type: 'string', default: '' },
      replica: { type: 'string', default: '1' },
      registry: { type: 'string' },
    },
  }).values;
  if (help) return 'help';
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
  const stop = stopOnSignal();
  const leave = new AbortController();
  const traffic = new Traffic();
  const replica = { service, id: replicaIdOf(service, number), requestsCount: () => traffic.total };
  const before = [traffic.middleware, misbehave(obeyParent(leave))];
  const server = await serverFor(replica, process.env, stop.signal, before);
  const port = await listen(server, wantedPort);
  const url = `http://${await ownAddress()}:${port}`;
  const registration = registryUrl && registrationOf(replica, url, registryUrl);
  if (registration) await registration.ensure();
  announce(replica.id, port);
  const going = AbortSignal.any([stop.signal, leave.signal]);
  await (registration ? registration.keep(going) : once(going, 'abort'));
  if (leave.signal.aborted) await finish(traffic, stop.signal);
  stop.abort();
  endWith(server);
}

/** Does what the playground tells it; returns the faults it is to have now. */
function obeyParent(leave: AbortController): () => Faults {
  let faults = NO_FAULTS;
  process.on('message', (message: unknown) => {
    if (isMessage('leave', message)) leave.abort();
    if (!isMessage('faults', message)) return;
    faults = message.faults;
    tellParent({ type: 'done' });
  });
  return () => faults;
}

/** Serves those who have not noticed yet that it has left. */
async function finish(traffic: Traffic, stopping: AbortSignal): Promise<void> {
  tellParent({ type: 'done' });
  print(`has left the registry, stops after ${LEAVES_AFTER_QUIET_MS} ms without requests`);
  await traffic.quiet(LEAVES_AFTER_QUIET_MS, stopping);
}

function registrationOf({ service, id }: Replica, url: string, registryUrl: string) {
  const port = Number(new URL(url).port);
  const entry = { name: registryNameOf(service), host: id, port, url, health_check: HEALTH_PATH };
  return new Registration({ registryUrl, entry, print });
}

await endOnFault(USAGE, async () => {
  const flags = readFlags();
  if (flags === 'help') print(USAGE);
  else await serve(flags);
});
