import { describe, expect, it } from '@jest/globals';
import { failures, Load, statuses } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { credentials, PORTS, type Port, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { type ReplicaProcess, startReplicaProcesses } from '../../support/upstreams/replicaProcess.ts';

const LONG_MS = 60_000;
const CALLERS = 50;

const target = (port: Port) => (n: number) => `${port === 'internal' ? '/internal' : ''}/budgeting/x?id=${n}`;

describe.each(PORTS)(
  'on the %s port, under fifty callers that GET, a replica of three that freezes',
  (port) => {
    it(
      'costs nobody a response, is out once it has been silent for a deadline, and comes back',
      async () => {
        await using processes = await startReplicaProcesses(3);
        const { replicas } = processes;
        const [frozen] = replicas as [ReplicaProcess];
        await using gateway = await startGateway({
          services: { '/budgeting': { upstreams: replicas, concurrency: 1000 } },
          env: {
            REQUEST_TIMEOUT: '1s',
            CIRCUIT_BREAKER_COOLDOWN: '500ms',
            LOG_LEVEL: 'warn',
            GET_CACHE_TTL: 'off',
          },
        });
        const instance = { service: '/budgeting', instance: frozen.url.hostname };
        const isOpen = async () => (await gateway.metric('gateway_circuit_breaker_state', instance)) === 1;
        await using load = new Load({
          origin: gateway[port],
          target: target(port),
          headers: { ...credentials(port) } as Record<string, string>,
        });
        await load.more(500);
        frozen.freeze();
        await eventually('its breaker opens', isOpen);
        await load.more(500);
        frozen.thaw();
        const arrived = frozen.ids.length;
        await eventually('it gets requests again', () => frozen.ids.length > arrived + 50);
        const outcomes = await load.stop();

        expect(failures(outcomes)).toEqual([]);
        const hedges = await gateway.metric('gateway_hedges_total');
        expect(hedges).toBeGreaterThan(0);
        expect(hedges).toBeLessThanOrEqual(10 + outcomes.length * 0.05);
        const ids = replicas.flatMap((replica) => replica.ids);
        const times = new Map<string, number>();
        for (const id of ids) times.set(id, (times.get(id) ?? 0) + 1);
        expect(Math.max(...times.values())).toBeLessThanOrEqual(2);
        const won = await gateway.metric('gateway_hedges_won_total');
        process.stdout.write(
          `${port}: ${JSON.stringify(statuses(outcomes))}, ${hedges} hedges, ${won} won\n`,
        );
      },
      LONG_MS,
    );
  },
);

describe.each(PORTS)('on the %s port of a gateway of three threads', (port) => {
  it(
    'a replica of three that freezes costs no GET a response',
    async () => {
      await using processes = await startReplicaProcesses(3);
      const { replicas } = processes;
      const [frozen] = replicas as [ReplicaProcess];
      await using gateway = await startGatewayProcess({
        services: { '/budgeting': { upstreams: replicas, concurrency: 1000 } },
        env: { WORKERS: '3', REQUEST_TIMEOUT: '2s', ACCESS_LOG_SAMPLE: '0', GET_CACHE_TTL: 'off' },
      });
      await using load = new Load({
        origin: gateway[port],
        target: target(port),
        headers: { ...credentials(port) } as Record<string, string>,
      });
      await load.more(500);
      frozen.freeze();
      const open = `gateway_circuit_breaker_state{service="/budgeting",instance="${frozen.url.hostname}"} 1`;
      await eventually('its breaker is open in all threads', async () => {
        const metrics = await fetch(`${gateway.internal}/metrics`);
        return (await metrics.text()).includes(open);
      });
      await load.more(500);
      frozen.thaw();
      expect(failures(await load.stop())).toEqual([]);
    },
    LONG_MS,
  );
});

describe.each(PORTS)(
  'on the %s port, under fifty callers that POST, a replica of three that freezes',
  (port) => {
    it(
      'costs what it had and a trial now and then, gets nothing twice, and comes back',
      async () => {
        await using processes = await startReplicaProcesses(3);
        const { replicas } = processes;
        const [frozen] = replicas as [ReplicaProcess];
        await using gateway = await startGateway({
          services: { '/budgeting': { upstreams: replicas, concurrency: 1000 } },
          env: { REQUEST_TIMEOUT: '1s', CIRCUIT_BREAKER_COOLDOWN: '500ms', LOG_LEVEL: 'warn' },
        });
        const instance = { service: '/budgeting', instance: frozen.url.hostname };
        const failures = () => gateway.metric('gateway_circuit_breaker_failures_total', instance);
        await using load = new Load({
          origin: gateway[port],
          target: target(port),
          method: 'POST',
          headers: { ...credentials(port) } as Record<string, string>,
        });
        await load.more(200);
        frozen.freeze();
        await eventually('its breaker opens', async () => {
          return (await gateway.metric('gateway_circuit_breaker_state', instance)) === 1;
        });
        const opened = await failures();
        // Every trial fails, and is one request.
        await eventually('two trials were in vain', async () => (await failures()) >= opened + 2);
        const trials = (await failures()) - opened;
        frozen.thaw();
        const arrived = frozen.ids.length;
        await eventually('it gets requests again', () => frozen.ids.length > arrived + 50);
        const outcomes = await load.stop();

        const counts = statuses(outcomes);
        expect(Object.keys(counts)).toEqual(['200', '504']);
        // It had a third of the fifty; while it was silent, the others had no fewer.
        expect(counts[504]).toBeLessThanOrEqual(CALLERS / 2 + trials + 1);
        const ids = replicas.flatMap((replica) => replica.ids);
        expect(new Set(ids).size).toBe(ids.length);
        expect(await gateway.metric('gateway_failovers_total')).toBe(0);
        expect(await gateway.metric('gateway_request_timeouts_total')).toBe(counts[504]);
        process.stdout.write(`${port}: ${JSON.stringify(counts)}, ${trials} trials in vain\n`);
      },
      LONG_MS,
    );
  },
);
