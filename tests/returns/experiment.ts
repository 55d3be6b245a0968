import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../support/clients/load.ts';
import { eventually } from '../support/eventually.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startRegistry, type TestRegistry } from '../support/upstreams/registry.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/upstreams/replicaProcess.ts';
import { sendJson } from '../support/upstreams/upstream.ts';

/** Long enough for a trial that fails: the cooldown is 2 s. */
const DEAD_MS = 2500;
const OPEN = 1;
/** Requests under load before each event, and while the replica is back. */
const SOME = 1000;

/** Requests that are sent one after another, and of how many of them a replica that is back gets its part. */
export const ONE_BY_ONE = 60;
export const FAIR = { least: 15, most: 25 } as const;

export interface Setup {
  readonly workers: number;
  readonly redisUrl?: string | undefined;
}

export interface Course {
  /** Whether the load goes on for a while after the replica is back. Otherwise it ends then. */
  readonly loadGoesOn: boolean;
  /** Whether the registry does as it is told, and forgets a replica until that registers anew. */
  readonly forgets: boolean;
}

/** All courses, in the order in which repetitions take them. */
export const COURSES: readonly Course[] = [
  { loadGoesOn: false, forgets: false },
  { loadGoesOn: false, forgets: true },
  { loadGoesOn: true, forgets: false },
  { loadGoesOn: true, forgets: true },
];

export interface Returned {
  /** Of `ONE_BY_ONE` requests, how many the replica got that was back. */
  readonly part: number;
  /** The status of each request under load that failed, and what the gateway logged of them. */
  readonly failed: readonly string[];
}

const PATH = '/budgeting';
const NAMES = ['a', 'b', 'c'] as const;

/** Three replicas behind a registry, fifty connections, and one replica that dies and is back after 2.5 s. */
export async function replicaReturns(setup: Setup, course: Course): Promise<Returned> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  if (!course.forgets) forgetsNobody(registry);
  const replicas = await Promise.all(NAMES.map(() => startReplicaProcess()));
  for (const replica of replicas) stack.use(replica);
  for (const [i, name] of NAMES.entries()) registry.list(name, replicas[i] as ReplicaProcess);
  const gateway = stack.use(await startGatewayWith(registry, setup));
  await eventually('it is ready', async () => (await fetch(`${gateway.internal}/readyz`)).ok);
  const lines = failuresLoggedBy(gateway);

  const load = stack.use(
    new Load({ origin: gateway.internal, target: (n) => `/internal${PATH}/x?id=load-${n}` }),
  );
  await load.more(SOME);
  const [first] = replicas as [ReplicaProcess];
  await first.kill();
  await sleep(DEAD_MS);
  const back = stack.use(await startReplicaProcess(Number(first.url.port)));
  registry.list('a', back);
  if (course.loadGoesOn) await load.more(SOME);
  const outcomes = await load.stop();
  await eventually('its cooldown is over', () => mayBeAsked(gateway, 'a'));
  const part = await partOf(back, gateway);
  const statuses = outcomes.filter(({ status }) => status !== 200).map(({ status }) => String(status));
  return { part, failed: statuses.length === 0 ? [] : [...statuses, ...lines] };
}

/** How many of `count` requests each of three replicas gets that have had so many before the gateway started. */
export async function gatewayRestarts(
  setup: Setup,
  lifetimeCounts: readonly [number, number, number],
  { count, connections }: { readonly count: number; readonly connections: number },
): Promise<number[]> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const replicas = await Promise.all(NAMES.map(() => startReplicaProcess()));
  for (const [i, name] of NAMES.entries()) {
    const replica = stack.use(replicas[i] as ReplicaProcess);
    registry.list(name, replica);
    registry.replicas.incrementByHost(name, lifetimeCounts[i] as number);
  }
  const gateway = stack.use(await startGatewayWith(registry, setup));
  await eventually('it is ready', async () => (await fetch(`${gateway.internal}/readyz`)).ok);
  let next = 0;
  const client = async () => {
    while (next < count) await ask(gateway, `restart-${next++}`);
  };
  await Promise.all(Array.from({ length: connections }, client));
  return replicas.map(({ ids }) => ids.length);
}

function startGatewayWith({ url }: TestRegistry, { workers, redisUrl }: Setup): Promise<GatewayProcess> {
  return startGatewayProcess({
    services: { [PATH]: { upstreams: [], concurrency: 1000 } },
    env: {
      LOG_LEVEL: 'info',
      GET_CACHE_TTL: 'off',
      GLOBAL_CONCURRENCY: '1000',
      WORKERS: String(workers),
      SERVICE_DISCOVERY_URL: url,
      SERVICE_REFRESH_INTERVAL: '300ms',
      CIRCUIT_BREAKER_COOLDOWN: '2s',
      ...(redisUrl && { REDIS_URL: redisUrl }),
    },
  });
}

/** Access lines of what failed, as they come. */
function failuresLoggedBy({ child }: GatewayProcess): readonly string[] {
  const lines: string[] = [];
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (/"status":5/.test(line)) lines.push(line);
    });
  }
  return lines;
}

/** As a registry that knows replicas by other ids than it is told. */
function forgetsNobody(registry: TestRegistry): void {
  const own = registry.app;
  registry.answers((req, res) => {
    if (req.method === 'DELETE') sendJson(res, { error: 'no such replica' }, 404);
    else own(req, res);
  });
}

/** Whether the gateway lists the replica, and its breaker is not open. */
async function mayBeAsked({ internal }: GatewayProcess, instance: string): Promise<boolean> {
  const page = await (await fetch(`${internal}/metrics`)).text();
  const value = (name: string) => {
    const line = page.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(`"${instance}"`));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  const state = value('gateway_circuit_breaker_state');
  return value('gateway_lb_instance_health') === 1 && state !== undefined && state !== OPEN;
}

async function partOf(replica: ReplicaProcess, gateway: GatewayProcess): Promise<number> {
  for (let n = 0; n < ONE_BY_ONE; n += 1) await ask(gateway, `single-${n}`);
  return replica.ids.filter((id) => id.startsWith('single-')).length;
}

async function ask({ internal }: GatewayProcess, id: string): Promise<void> {
  const response = await fetch(`${internal}/internal${PATH}/x?id=${id}`);
  await response.text();
  if (response.status !== 200) throw new Error(`request ${id} was answered with ${response.status}`);
}
