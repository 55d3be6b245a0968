import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { INSTALLS_WITHIN_MS } from '../../support/processes/command.ts';
import { consulEntry, startConsul } from '../../support/upstreams/consul.ts';
import { startDnsServer } from '../../support/upstreams/dnsServer.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

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

describe('SERVICE_DISCOVERY_URL=dns://... and aliases', () => {
  it('finds a service by the first of its names that is there', async () => {
    await using upstream = await startUpstream();
    await using server = await startDnsServer(['--host-record=tasks.tm-service.test,127.0.0.1']);
    const url = `dns://tasks.{name}.test:${upstream.url.port}?server=${server.address}`;
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [], aliases: ['tm', 'tm-service'] } },
      env: { SERVICE_DISCOVERY_URL: url, SERVICE_REFRESH_INTERVAL: '50ms' },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    expect(await ask(gateway)).toBe(200);
    expect(await gateway.metric('gateway_registry_errors_total', { call: 'list' })).toBe(0);
  });
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
    await eventually('the gateway waits for news', () => consul.blocked === 2);
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

  it('finds a service by every name that the catalog has for it, for as long as it has', async () => {
    await using own = await startUpstream();
    await using task = await startUpstream();
    await using consul = await startConsul();
    consul.set('budgeting', [consulEntry('budgeting', 'b1', Number(own.url.port))]);
    consul.set('Padstack_Budgeting-Service', [consulEntry('x', 'b2', Number(task.url.port))]);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [], aliases: ['budgeting-service'] } },
      env: { SERVICE_DISCOVERY_URL: consul.url.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    for (let n = 0; n < 10; n += 1) expect(await ask(gateway)).toBe(200);
    expect([own.requests.length, task.requests.length]).toEqual([5, 5]);
    await eventually('the gateway waits for news', () => consul.blocked === 3);
    consul.set('Padstack_Budgeting-Service', []);
    const shown = () => gateway.metric('gateway_lb_instance_health');
    await eventually('the task is gone, and its name is asked for no more', async () => {
      return (await shown()) === 1 && consul.blocked === 2;
    });
    for (let n = 0; n < 4; n += 1) expect(await ask(gateway)).toBe(200);
    expect([own.requests.length, task.requests.length]).toEqual([9, 5]);
  });

  it('says of the names in the catalog only which look like those of its services', async () => {
    await using consul = await startConsul();
    consul.set('budgetting', [consulEntry('budgetting', 'b1', 1)]);
    consul.set('consul', [consulEntry('consul', 'c1', 1)]);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: consul.url.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    consul.set('vault', [consulEntry('vault', 'v1', 1)]);
    await eventually('the gateway waits for news', () => consul.blocked === 2);
    const lines = gateway.logLines().map(({ message }) => String(message));
    expect(lines.filter((line) => line.includes('no service is called'))).toEqual([
      'The registry lists what no service is called, and it gets no requests: "budgetting" (did you mean budgeting?)',
    ]);
    expect(await gateway.metric('gateway_registry_unknown_names')).toBe(1);
  });

  it('finds services by their own names without the catalog', async () => {
    await using upstream = await startUpstream();
    await using consul = await startConsul({ showsCatalog: false });
    consul.set('budgeting', [consulEntry('budgeting', 'b1', Number(upstream.url.port))]);
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [] } },
      env: { SERVICE_DISCOVERY_URL: consul.url.replace('http', 'consul') },
    });
    await eventually('ready', async () => (await missing(gateway)).length === 0);
    expect(await ask(gateway)).toBe(200);
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
