import { describe, expect, it } from '@jest/globals';
import { INSTALLS_WITHIN_MS } from '../support/command.ts';
import { consulEntry, startConsul } from '../support/consul.ts';
import { startDnsServer } from '../support/dnsServer.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { refusedUrl, startUpstream, type Upstream } from '../support/upstream.ts';

async function ask(gateway: TestGateway): Promise<number> {
  return (await fetch(`${gateway.internal}/internal/budgeting/x`)).status;
}

async function missing(gateway: TestGateway): Promise<string[]> {
  const answer = await fetch(`${gateway.internal}/readyz`);
  const { missing } = (await answer.json()) as { missing: string[] };
  return missing;
}

describe('SERVICE_DISCOVERY_URL=dns://...', () => {
  it(
    'finds replicas where the upstreams of the settings are not',
    async () => {
      await using upstream = await startUpstream();
      await using server = await startDnsServer(['--host-record=tasks.budgeting-service.test,127.0.0.1']);
      const url = `dns://tasks.{name}-service.test:${upstream.url.port}?server=${server.address}`;
      await using gateway = await startGateway({
        services: { '/budgeting': [refusedUrl()] },
        env: { SERVICE_DISCOVERY_URL: url, SERVICE_REFRESH_INTERVAL: '100ms' },
      });
      await eventually('ready', async () => (await missing(gateway)).length === 0);
      expect(await ask(gateway)).toBe(200);
      expect(await gateway.metric('gateway_lb_requests_total', { instance: '127.0.0.1' })).toBe(1);
    },
    INSTALLS_WITHIN_MS,
  );
});

describe('SERVICE_DISCOVERY_URL=consul://...', () => {
  it('follows every change as it happens', async () => {
    await using first = await startUpstream();
    await using second = await startUpstream();
    await using consul = await startConsul();
    consul.set('budgeting', [consulEntry('budgeting', 'b1', Number(first.url.port))]);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: consul.url.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    expect(await ask(gateway)).toBe(200);
    expect(first.requests).toHaveLength(1);
    await eventually('the gateway waits for news', () => consul.blocked === 1);
    consul.set('budgeting', [consulEntry('budgeting', 'b2', Number(second.url.port))]);
    await eventually(
      'the second is asked',
      async () => (await ask(gateway)) === 200 && second.requests.length > 0,
    );
  });

  it('uses three nodes that give the service the same id, which is what Consul does by default', async () => {
    await using stack = new AsyncDisposableStack();
    await using consul = await startConsul();
    const nodes: Upstream[] = [];
    for (const host of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
      nodes.push(stack.use(await startUpstream(undefined, { host })));
    }
    const entries = nodes.map(({ url }, n) => ({
      ...consulEntry('budgeting', 'budgeting', Number(url.port)),
      Node: { Node: `n${n}`, Address: url.hostname },
    }));
    consul.set('budgeting', entries);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: consul.url.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    for (let n = 0; n < 10; n += 1) expect(await ask(gateway)).toBe(200);
    expect(nodes.map(({ requests }) => requests.length).toSorted()).toEqual([3, 3, 4]);
  });

  it('starts without Consul and finds it later', async () => {
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: refusedUrl().origin.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    expect(await ask(gateway)).toBe(503);
    expect(await gateway.metric('gateway_registry_errors_total', { call: 'list' })).toBeGreaterThan(0);
  });
});
