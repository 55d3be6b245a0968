import { SERVICE_NAMES, type ServiceName } from '../catalogue.ts';
import type { Flags } from '../flags.ts';
import { assertFree, nextFreePorts, type WantedPort } from '../ports.ts';

/** Extra replicas start this far above the base port, clear of the ten first ones. */
const EXTRA_REPLICAS_OFFSET = 20;

/** One replica that is to run. Port 0 is any free port. */
export interface PlannedReplica {
  readonly service: ServiceName;
  /** 1 for the first replica of its service. */
  readonly number: number;
  readonly port: number;
}

/** Settles who listens where, before anything is started. Throws `TakenPortsError`. */
export async function planReplicas(flags: Flags): Promise<PlannedReplica[]> {
  const first = SERVICE_NAMES.map((service, index) => ({
    service,
    number: 1,
    port: flags.basePort === 0 ? 0 : flags.basePort + index,
  })).filter(({ service }) => flags.replicas[service] > 0);
  const wanted = [...infrastructurePorts(flags), ...first.map(servicePort)];
  await assertFree(wanted);
  const extra = extraReplicas(flags);
  const ports = await extraPorts(flags, extra.length, new Set(wanted.map(({ port }) => port)));
  return [...first, ...extra.map((replica, index) => ({ ...replica, port: ports[index] ?? 0 }))];
}

/** One replica more than was planned, on the next free port that is not `taken`. Throws `TakenPortsError`. */
export async function planReplica(
  flags: Flags,
  service: ServiceName,
  number: number,
  taken: ReadonlySet<number>,
): Promise<PlannedReplica> {
  const [port = 0] = await extraPorts(flags, 1, taken);
  return { service, number, port };
}

function infrastructurePorts(flags: Flags): WantedPort[] {
  const registry = { port: flags.registryPort, for: 'the registry', flag: '--registry-port' };
  if (!flags.gateway) return [registry];
  return [
    { port: flags.externalPort, for: "the gateway's users", flag: '--external-port' },
    { port: flags.internalPort, for: "the gateway's services", flag: '--internal-port' },
    { port: flags.pagePort, for: 'the page', flag: '--page-port' },
    registry,
  ];
}

function servicePort({ service, port }: PlannedReplica): WantedPort {
  return { port, for: service, flag: '--base-port' };
}

function extraReplicas({ replicas }: Flags): Pick<PlannedReplica, 'service' | 'number'>[] {
  return SERVICE_NAMES.flatMap((service) =>
    Array.from({ length: Math.max(0, replicas[service] - 1) }, (_, index) => ({
      service,
      number: index + 2,
    })),
  );
}

async function extraPorts(
  { basePort }: Flags,
  count: number,
  except: ReadonlySet<number>,
): Promise<number[]> {
  if (basePort === 0) return new Array(count).fill(0);
  return nextFreePorts(count, basePort + EXTRA_REPLICAS_OFFSET, except);
}
