import { describe, expect, it } from '@jest/globals';
import { ConsulSource } from '../../../../lib/loadbalancer/registry/sources/consulSource.ts';
import { DnsSource, type DnsSourceOptions } from '../../../../lib/loadbalancer/registry/sources/dnsSource.ts';
import { eventually } from '../../../support/eventually.ts';
import { INSTALLS_WITHIN_MS } from '../../../support/processes/command.ts';
import { consulEntry, startConsul } from '../../../support/upstreams/consul.ts';
import { freeUdpPort, startDnsServer } from '../../../support/upstreams/dnsServer.ts';
import {
  refusedUrl,
  says,
  sendJson,
  startRawUpstream,
  startUpstream,
} from '../../../support/upstreams/upstream.ts';

const TIMEOUT_MS = 2000;

function dns(server: string, options: Partial<DnsSourceOptions> = {}): DnsSource {
  const services = [{ name: 'budgeting', port: 8087 }];
  return new DnsSource({
    pattern: 'tasks.{name}-service.test',
    services,
    server,
    timeoutMs: TIMEOUT_MS,
    ...options,
  });
}

function consul(url: string, token?: string): ConsulSource {
  return new ConsulSource({ url, service: 'budgeting', timeoutMs: TIMEOUT_MS, token });
}

async function keysOf(source: DnsSource | ConsulSource): Promise<string[]> {
  return (await source.list()).listed.map(({ key }) => key).toSorted();
}

describe('DnsSource', () => {
  it(
    'lists every address of the name, of both families, as healthy',
    async () => {
      await using server = await startDnsServer([
        '--host-record=tasks.budgeting-service.test,127.0.0.2',
        '--host-record=tasks.budgeting-service.test,127.0.0.3,::1',
      ]);
      const { listed, skipped } = await dns(server.address).list();
      expect(skipped).toEqual([]);
      expect(listed.map(({ key }) => key).toSorted()).toEqual([
        '127.0.0.2:8087',
        '127.0.0.3:8087',
        '[::1]:8087',
      ]);
      expect(listed[0]).toMatchObject({ name: 'budgeting', healthy: true, requestCount: 0 });
      expect(listed.map(({ url }) => url.port)).toEqual(['8087', '8087', '8087']);
    },
    INSTALLS_WITHIN_MS,
  );

  it('takes port and target from SRV records of the first priority', async () => {
    await using server = await startDnsServer([
      '--host-record=one.test,127.0.0.2',
      '--host-record=two.test,127.0.0.3',
      '--srv-host=_http._tcp.budgeting.test,one.test,9001,1',
      '--srv-host=_http._tcp.budgeting.test,two.test,9002,1',
      '--srv-host=_http._tcp.budgeting.test,one.test,9003,2',
    ]);
    const source = dns(server.address, { pattern: '_http._tcp.{name}.test' });
    expect(await keysOf(source)).toEqual(['127.0.0.2:9001', '127.0.0.3:9002']);
  });

  it('takes weights from SRV records, and of 0 the least', async () => {
    await using server = await startDnsServer([
      '--host-record=one.test,127.0.0.2',
      '--srv-host=_http._tcp.budgeting.test,one.test,9001,1,30',
      '--srv-host=_http._tcp.budgeting.test,one.test,9002,1,0',
    ]);
    const { listed } = await dns(server.address, { pattern: '_http._tcp.{name}.test' }).list();
    const weights = Object.fromEntries(listed.map(({ url, weight }) => [url.port, weight]));
    expect(weights).toEqual({ 9001: 30, 9002: 1 });
  });

  it('lists nobody of a name that is not there', async () => {
    await using server = await startDnsServer([]);
    expect(await dns(server.address).list()).toEqual({ listed: [], skipped: [] });
  });

  it('is content with one family when the other is refused', async () => {
    await using server = await startDnsServer(['--host-record=alone,127.0.0.4']);
    expect(await keysOf(dns(server.address, { pattern: 'alone' }))).toEqual(['127.0.0.4:8087']);
  });

  it('lists a service by the first of its names that is there, and goes on with that', async () => {
    const services = [{ name: 'tea', names: ['tea', 'tm', 'tea-service'], port: 8082 }];
    const records = (...names: string[]) =>
      names.map((name, n) => `--host-record=${name}.test,127.0.0.${n + 2}`);
    const addresses = async (source: DnsSource) =>
      (await source.list()).listed.map(({ url }) => url.hostname);
    await using both = await startDnsServer(records('tm', 'tea-service'));
    const source = dns(both.address, { pattern: '{name}.test', services });
    expect(await addresses(source)).toEqual(['127.0.0.2']);
    expect(await addresses(source)).toEqual(['127.0.0.2']);
    expect((await source.list()).listed[0]?.name).toBe('tea');
  });

  it('finds a service by another name although its own is not answered for', async () => {
    await using server = await startDnsServer(['--host-record=tm.test,127.0.0.2']);
    const services = [{ name: 'nobody.else', names: ['nobody.else', 'tm.test'], port: 8082 }];
    const source = dns(server.address, { pattern: '{name}', services });
    expect(await keysOf(source)).toEqual(['127.0.0.2:8082']);
  });

  it('says so when no question is answered', async () => {
    const source = dns(`127.0.0.1:${await freeUdpPort()}`, { timeoutMs: 200 });
    await expect(source.list()).rejects.toThrow(
      /^dns: tasks\.budgeting-service\.test: query(A|Aaaa) E(CONNREFUSED|TIMEOUT)/,
    );
  });
});

describe('ConsulSource', () => {
  it('lists who is there, healthy unless a check is critical', async () => {
    await using server = await startConsul();
    server.set('budgeting', [
      consulEntry('budgeting', 'b1', 8087),
      consulEntry('budgeting', 'b2', 8088, ['passing', 'critical']),
      consulEntry('budgeting', 'b3', 8089, ['warning']),
      consulEntry('budgeting', 'b4', 8090, []),
    ]);
    const { listed } = await consul(server.url).list();
    expect(listed.map(({ registered, healthy }) => [registered.id, healthy])).toEqual([
      ['b1', true],
      ['b2', false],
      ['b3', true],
      ['b4', true],
    ]);
    expect(listed[0]?.url.href).toBe('http://127.0.0.1:8087/');
  });

  it('takes weights, those for a warning where there is one', async () => {
    await using server = await startConsul();
    const weighed = (id: string, port: number, status: string) => {
      const entry = consulEntry('budgeting', id, port, [status]);
      return { ...entry, Service: { ...entry.Service, Weights: { Passing: 10, Warning: 2 } } };
    };
    server.set('budgeting', [
      weighed('b1', 1, 'passing'),
      weighed('b2', 2, 'warning'),
      consulEntry('budgeting', 'b3', 3),
    ]);
    const { listed } = await consul(server.url).list();
    expect(listed.map(({ weight }) => weight)).toEqual([10, 2, undefined]);
  });

  it("prefers the service's own address to its node's", async () => {
    await using server = await startConsul();
    const entry = consulEntry('budgeting', 'b1', 8087);
    server.set('budgeting', [{ ...entry, Service: { ...entry.Service, Address: '::1' } }]);
    expect((await consul(server.url).list()).listed[0]?.url.host).toBe('[::1]:8087');
  });

  it('answers at once the first time, and from then on when something changes', async () => {
    await using server = await startConsul();
    const source = consul(server.url);
    expect(await keysOf(source)).toEqual([]);
    const next = keysOf(source);
    await eventually('it waits', () => server.blocked === 1);
    server.set('budgeting', [consulEntry('budgeting', 'b1', 8087)]);
    expect(await next).toEqual(['127.0.0.1:8087']);
  });

  it('begins anew when the index goes back: Consul was restarted', async () => {
    await using server = await startConsul();
    const source = consul(server.url);
    server.set('budgeting', [], { indexFrom: 1000 });
    await source.list();
    server.set('budgeting', [consulEntry('budgeting', 'b1', 8087)], { indexFrom: 5 });
    const waits = keysOf(source);
    await eventually('it waits for 1001', () => server.blocked === 1);
    server.set('budgeting', [consulEntry('budgeting', 'b2', 8088)], { indexFrom: 6 });
    expect(await waits).toEqual(['127.0.0.1:8088']);
    expect(await keysOf(source)).toEqual(['127.0.0.1:8088']);
  });

  it('sends its token, which no error shows', async () => {
    await using server = await startConsul();
    await consul(server.url, 'sesame').list();
    expect(server.tokens).toEqual(['sesame']);
    const error: Error = await consul(refusedUrl().origin, 'sesame')
      .list()
      .then(neverListed, (e) => e);
    expect(error.message).toMatch(
      /^registry: GET http:\/\/127\.0\.0\.1:\d+\/v1\/health\/service\/budgeting failed: /,
    );
    expect(JSON.stringify(error) + error.stack).not.toContain('sesame');
  });

  it.each([
    ['HTML', says('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>')],
    ['a refusal', says('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')],
  ])('says so when it gets %s', async (_, answer) => {
    await using server = await startRawUpstream(answer);
    await expect(consul(server.url.origin).list()).rejects.toThrow(/^registry: GET /);
  });

  it('skips what cannot be read', async () => {
    await using server = await startUpstream((_req, res) =>
      sendJson(res, [{ Node: {} }, consulEntry('budgeting', 'b1', 8087)]),
    );
    const { listed, skipped } = await consul(server.url.origin).list();
    expect(listed.map(({ key }) => key)).toEqual(['127.0.0.1:8087']);
    expect(skipped).toEqual([expect.stringContaining('entry 0 of budgeting')]);
  });

  it('reads null as nobody', async () => {
    await using server = await startUpstream((_req, res) => sendJson(res, null));
    expect(await consul(server.url.origin).list()).toEqual({ listed: [], skipped: [] });
  });

  it('tells replicas apart by their addresses, whatever their nodes call the service', async () => {
    await using server = await startConsul();
    const entry = consulEntry('budgeting', 'budgeting', 8087);
    server.set('budgeting', [entry, { ...entry, Node: { Node: 'n2', Address: '127.0.0.2' } }]);
    const { listed } = await consul(server.url).list();
    expect(listed.map(({ key, registered }) => [key, registered.host, registered.id])).toEqual([
      ['127.0.0.1:8087', '127.0.0.1', 'budgeting'],
      ['127.0.0.2:8087', '127.0.0.2', 'budgeting'],
    ]);
  });

  it('ends the query under way when it is closed', async () => {
    await using server = await startConsul();
    const source = consul(server.url);
    await source.list();
    const next = source.list();
    await eventually('it waits', () => server.blocked === 1);
    source.close();
    await expect(next).rejects.toThrow('registry: GET');
    await eventually('Consul sees it', () => server.blocked === 0);
  });
});

function neverListed(): Error {
  throw new Error('it was listed');
}
