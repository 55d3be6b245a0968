import { describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/gateway.ts';
import { credentials, PORTS } from '../support/gatewayProcess.ts';
import { Load, statuses } from '../support/load.ts';
import { type ReplicaProcess, startReplicaProcesses } from '../support/replicaProcess.ts';

const LONG_MS = 60_000;
const CALLERS = 50;

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
        const instance = { service: '/budgeting', instance: frozen.url.host };
        const failures = () => gateway.metric('gateway_circuit_breaker_failures_total', instance);
        await using load = new Load({
          origin: gateway[port],
          target: (n) => `${port === 'internal' ? '/internal' : ''}/budgeting/x?id=${n}`,
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
