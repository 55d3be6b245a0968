import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayProcess, PORTS, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const SERVICE = '/budgeting';
const LIMIT = 80;
/** Descriptors that connecting clients find, when the rest is taken. */
const LEFT = 2;

const authorization = `Authorization: Bearer ${bearer(tokenFor('ann')).Authorization.slice(7)}`;

/** From now on the process may have so many descriptors. */
function limitDescriptors(pid: number, limit: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:${limit}`]);
}

const descriptorsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

/** What the gateway logs from now on. */
function logOf({ child }: GatewayProcess): string[] {
  const lines: string[] = [];
  if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => void lines.push(line));
  return lines;
}

describe.each(PORTS)('a gateway without descriptors, on the %s port', (port) => {
  const path = port === 'external' ? `${SERVICE}/x` : `/internal${SERVICE}/x`;

  it('says so, blames no replica, and goes on when there are some again', async () => {
    await using upstream = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Cache-Control': 'no-store', Connection: 'close' }).end('ok');
    });
    await using gateway = await startGatewayProcess({ services: { [SERVICE]: [upstream] } });
    const lines = logOf(gateway);
    using client = await RawClient.to(gateway[port]);
    const ask = async (status: number) => {
      const before = client.received.length;
      client.send(request(`GET ${path}`, authorization, 'Connection: keep-alive'));
      await eventually('the response', () => client.received.slice(before).includes(`HTTP/1.1 ${status}`));
      return client.received.slice(before);
    };
    await ask(200);

    limitDescriptors(gateway.pid, LIMIT);
    using idle = new DisposableStack();
    // More than can be accepted.
    for (let n = 0; n < LIMIT; n += 1) idle.use(await RawClient.to(gateway[port]));
    await eventually('none is left', () => descriptorsOf(gateway.pid) >= LIMIT - LEFT);
    for (let n = 0; n < 5; n += 1) expect(await ask(503)).toContain('gateway_exhausted');
    // Nobody can be accepted either.
    for (let n = 0; n < 5; n += 1) idle.use(await RawClient.to(gateway[port]));
    expect(await ask(503)).toContain('gateway_exhausted');
    expect(lines.filter((line) => line.includes('LimitNOFILE'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('Circuit Breaker'))).toEqual([]);

    idle.dispose();
    await eventually('descriptors', () => descriptorsOf(gateway.pid) < LIMIT - LEFT);
    await ask(200);
    const metrics = await (await fetch(`${gateway.internal}/metrics`)).text();
    expect(metrics).toMatch(/^gateway_exhausted_total 6$/m);
    expect(metrics).toMatch(/^gateway_circuit_breaker_failures_total\{.*\} 0$/m);
  });
});
