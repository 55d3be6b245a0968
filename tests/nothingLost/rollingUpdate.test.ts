import { describe, expect, it } from '@jest/globals';
import { failures, Load } from '../support/clients/load.ts';
import { eventually } from '../support/eventually.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startRegistry } from '../support/upstreams/registry.ts';
import { type ReplicaProcess, startReplicaProcess } from '../support/upstreams/replicaProcess.ts';

const REPLICAS = 3;
const WITHIN_MS = 120_000;

const SETTINGS = {
  SERVICE_REFRESH_INTERVAL: '100ms',
  SLOW_START: '0',
  GET_CACHE_TTL: 'off',
  REQUEST_TIMEOUT: '30s',
  DRAIN_TIMEOUT: '30s',
};

/** A service of three replicas behind a gateway that learns of them from a registry. */
async function startWorld() {
  const stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const replicas = new Map<string, ReplicaProcess>();

  async function join(id: string): Promise<void> {
    const replica = stack.use(await startReplicaProcess());
    replicas.set(id, replica);
    registry.list(id, replica);
  }
  for (let n = 0; n < REPLICAS; n += 1) await join(`old-${n}`);
  const gateway = stack.use(
    await startGatewayProcess({
      services: { '/budgeting': [] },
      env: { ...SETTINGS, SERVICE_DISCOVERY_URL: registry.url },
    }),
  );
  await eventually('the gateway knows the replicas', () => knows(gateway, 'old-0'));
  return { registry, replicas, gateway, join, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Whether this replica is among those that requests go to. */
async function knows(gateway: GatewayProcess, id: string): Promise<boolean> {
  const metrics = await (await fetch(`${gateway.internal}/metrics`)).text();
  return metrics.includes(`instance="${id}`);
}

/** GETs and POSTs, 40 clients of each. */
function startLoads({ internal: origin }: GatewayProcess): Load[] {
  const target = (n: number) => `/internal/budgeting/x?delayMs=${n % 20}`;
  return (['GET', 'POST'] as const).map((method) => new Load({ origin, target, method, connections: 40 }));
}

describe('replicas replaced one by one through the registry', () => {
  it(
    'fail no request',
    async () => {
      await using world = await startWorld();
      const { registry, replicas, gateway, join } = world;
      await using stack = new AsyncDisposableStack();
      const loads = startLoads(gateway).map((load) => stack.use(load));
      for (let n = 0; n < REPLICAS; n += 1) {
        await join(`new-${n}`);
        await eventually(`new-${n} serves`, () => knows(gateway, `new-${n}`));
        registry.replicas.deregister(`old-${n}`);
        await eventually(`old-${n} has left`, async () => !(await knows(gateway, `old-${n}`)));
        await replicas.get(`old-${n}`)?.stop();
        await Promise.all(loads.map((load) => load.more(200)));
      }
      const outcomes = (await Promise.all(loads.map((load) => load.stop()))).flat();
      expect(failures(outcomes)).toEqual([]);
    },
    WITHIN_MS,
  );
});
