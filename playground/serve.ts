// Runs one replica of one service: node playground/serve.ts --service budgeting --port 8087
import './lifeline.ts';
import { once } from 'node:events';
import {
  asksForHelp,
  type Command,
  type Flag,
  type FlagValues,
  helpOf,
  nameAmong,
  number,
  parseFlags,
  text,
} from '../config/commandLine/flags.ts';
import { registryNameOf, SERVICE_NAMES, type ServiceName } from './catalogue.ts';
import { port } from './flags.ts';
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

/** A replica that leaves waits so long for the last requests of those who have not noticed yet. */
const LEAVES_AFTER_QUIET_MS = 1000;

const flags = {
  service: serviceFlag(),
  port: port(undefined, 'where it listens'),
  replica: number(1, { min: 1, max: 99, whole: true }, 'which replica of the service this is'),
  registry: text('URL', 'where it registers. Default: nowhere'),
};

const COMMAND: Command<typeof flags> = {
  about: 'Runs one replica of one service, such as --service budgeting --port 8087.',
  usage: ['node playground/serve.ts'],
  flags,
};

/** One of the ten; it has to be given. */
function serviceFlag(): Flag<ServiceName> {
  const read = (name: string, given: readonly string[]) =>
    nameAmong(name, given.at(-1) ?? '', SERVICE_NAMES, 'service');
  return { shown: 'budgeting', help: `which service: ${SERVICE_NAMES.join(', ')}`, read };
}

async function serve(asked: FlagValues<typeof flags>): Promise<void> {
  const { service, port: wantedPort, registry: registryUrl } = asked;
  await assertFree([{ port: wantedPort, for: service, flag: '--port' }]);
  const stop = stopOnSignal();
  const leave = new AbortController();
  const traffic = new Traffic();
  const replica = { service, id: replicaIdOf(service, asked.replica), requestsCount: () => traffic.total };
  const before = [traffic.middleware, misbehave(obeyParent(leave))];
  const server = await serverFor(replica, process.env, stop.signal, before);
  const ownPort = await listen(server, wantedPort);
  const url = `http://${await ownAddress()}:${ownPort}`;
  const registration = registryUrl && registrationOf(replica, url, registryUrl);
  if (registration) await registration.ensure();
  announce(replica.id, ownPort);
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

await endOnFault(helpOf(COMMAND), async () => {
  const args = process.argv.slice(2);
  if (asksForHelp(COMMAND, args)) print(helpOf(COMMAND));
  else await serve(parseFlags(COMMAND, args));
});
