import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Load, statuses } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LONG_MS = 60_000;
const REFRESH_MS = 100;
const COOLDOWN_MS = 600_000;
const ROUNDS = 20;
const CHANGES = 12;
/** What a few fetches and listings of the test keep open. */
const SPARE_SOCKETS = 10;

const instancesIn = (metrics: string) => [
  ...new Set([...metrics.matchAll(/instance="([^"]+)"/g)].map(([, id]) => id)),
];

async function instancesOf(gateway: { readonly internal: string }): Promise<unknown[]> {
  return instancesIn(await (await fetch(`${gateway.internal}/metrics`)).text());
}

describe('replicas that come, trip their breaker and go', () => {
  it('leave neither breakers nor timers nor series behind', async () => {
    const clock = new ManualClock();
    await using registry = await startRegistry();
    await using steady = await startUpstream();
    await using broken = await startUpstream((_req, res) => void res.writeHead(500).end());
    registry.list('steady', steady);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: {
        SERVICE_DISCOVERY_URL: registry.url,
        SERVICE_REFRESH_INTERVAL: `${REFRESH_MS}ms`,
        CIRCUIT_BREAKER_COOLDOWN: `${COOLDOWN_MS}ms`,
        SLOW_START: '0',
      },
      clock,
    });
    const ask = async () => (await fetch(`${gateway.internal}/internal/budgeting/x`)).status;
    const listed = (...ids: readonly string[]) =>
      eventually(`${ids} are listed`, () => {
        clock.advance(REFRESH_MS);
        const known = gateway.gateway.parts.services[0]?.replicas.pool.replicas.map(({ id }) => id);
        return known?.join() === ids.join();
      });
    await listed('steady');
    for (let n = 0; n < ROUNDS; n += 1) {
      const id = `broken-${n}`;
      registry.list(id, broken);
      await listed('steady', id);
      await eventually('it is tripped', async () => {
        await ask();
        return (await gateway.metric('gateway_circuit_breaker_state', { instance: id })) === 1;
      });
      registry.replicas.deregister(id);
      await listed('steady');
    }
    expect(await instancesOf(gateway)).toEqual(['steady']);
    // Open breakers outlive their replicas, so that one which comes back is still open; after the cooldown they go.
    const timersBefore = clock.pending;
    expect(timersBefore).toBeGreaterThanOrEqual(ROUNDS);
    clock.advance(COOLDOWN_MS);
    await eventually('their timers are gone', () => clock.pending <= timersBefore - ROUNDS);
    registry.list('broken-0', broken);
    await listed('steady', 'broken-0');
    expect(await gateway.metric('gateway_circuit_breaker_state', { instance: 'broken-0' })).toBe(0);
  });
});

describe('a gateway process whose replicas change all the time', () => {
  it(
    'has no more sockets in the end than before',
    async () => {
      await using registry = await startRegistry();
      await using stack = new AsyncDisposableStack();
      const upstreams = await Promise.all(Array.from({ length: 6 }, () => startUpstream()));
      for (const upstream of upstreams) stack.use(upstream);
      for (const [n, upstream] of upstreams.slice(0, 3).entries()) registry.list(`r${n}`, upstream);
      await using gateway = await startGatewayProcess({
        services: { '/budgeting': { upstreams: [] } },
        env: { SERVICE_DISCOVERY_URL: registry.url, SERVICE_REFRESH_INTERVAL: `${REFRESH_MS}ms` },
      });
      const ready = async () => (await fetch(`${gateway.internal}/readyz`)).status === 200;
      await eventually('ready', ready);
      const sockets = () => readdirSync(`/proc/${gateway.pid}/fd`).length;
      const before = sockets();
      const load = new Load({ origin: gateway.internal, target: (n) => `/internal/budgeting/x?${n}` });
      let round = 0;
      for (; round < CHANGES; round += 1) {
        const [gone, comes] = [upstreams[round % 6], upstreams[(round + 3) % 6]] as [Upstream, Upstream];
        registry.replicas.deregister(`r${round}`);
        registry.list(`r${round + 3}`, comes);
        await eventually('the newcomer is asked', () => comes.open > 0);
        await eventually('the connections to the one that left are closed', () => gone.open === 0);
      }
      const during = sockets();
      expect(statuses(await load.stop())).toEqual({ 200: load.outcomes.length });
      await load[Symbol.asyncDispose]();
      expect((await instancesOf(gateway)).toSorted()).toEqual(
        [0, 1, 2].map((n) => `r${round + n}`).toSorted(),
      );
      await eventually('its sockets are closed', () => sockets() <= before + SPARE_SOCKETS, LONG_MS);
      process.stdout.write(
        `${load.outcomes.length} requests, ${round} changes, sockets ${before}, ${during}, ${sockets()}\n`,
      );
    },
    LONG_MS,
  );
});
