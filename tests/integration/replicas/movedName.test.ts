import dns from 'node:dns';
import { afterEach, expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const { lookup } = dns;
afterEach(() => {
  dns.lookup = lookup;
});

/** What the system says of this name, from now on. */
function point(name: string, address: string): void {
  dns.lookup = ((host: string, options: dns.LookupOptions, callback: (...found: unknown[]) => void) => {
    if (host !== name) return lookup(host, options, callback as never);
    process.nextTick(() =>
      options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4),
    );
  }) as typeof lookup;
}

it('an upstream whose name moves under steady traffic is asked at its new address, without a failed request', async () => {
  await using before = await startUpstream((_req, res) => void res.end('before'), { host: '127.0.0.2' });
  const port = Number(before.url.port);
  await using after = await startUpstream((_req, res) => void res.end('after'), { host: '127.0.0.3', port });
  point('service.test', '127.0.0.2');
  await using gateway = await startGateway({
    services: { '/up': [`http://service.test:${port}`] },
    env: { UPSTREAM_CONNECTION_AGE: '200ms' },
  });
  const ask = async () => {
    const { status, body } = await call(`${gateway.internal}/internal/up/x`);
    return `${status} ${body}`;
  };
  expect(await ask()).toBe('200 before');
  point('service.test', '127.0.0.3');
  const seen = new Set<string>();
  // Asked all the time: nothing but its age ends the connection.
  await eventually('it is asked at its new address', async () => {
    const answer = await ask();
    seen.add(answer);
    return answer === '200 after';
  });
  expect(seen).toEqual(new Set(['200 before', '200 after']));
  expect(after.requests).toHaveLength(1);
});
