import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { acceptQueueAdvice } from '../../gateway/http/acceptQueue.ts';
import { RawClient, request } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, tokenFor } from '../support/gateway/gateway.ts';
import { PORTS } from '../support/gateway/gatewayProcess.ts';
import { ManualClock } from '../support/manualClock.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

const KEEP_ALIVE = 'Connection: keep-alive';

describe.each(PORTS)('an idle connection to the %s port that drains', (port) => {
  it('is used once more within DRAIN_GRACE, and closed when that is over', async () => {
    const clock = new ManualClock();
    const env = { REUSE_PORT: 'true', DRAIN_GRACE: '1s' };
    await using test = await startGateway({ services: { '/budgeting': [] }, env, clock });
    using used = await RawClient.to(test[port]);
    using unused = await RawClient.to(test[port]);
    for (const client of [used, unused]) {
      client.send(request('GET /healthz', KEEP_ALIVE));
      expect((await client.answer()).status).toBe(200);
    }
    const stopped = test.gateway.stop();
    await eventually('it listens no more', async () => !(await listens(test[port])));
    used.send(request('GET /healthz', KEEP_ALIVE));
    await used.closed();
    expect(used.received.match(/HTTP\/1.1 200/g)).toHaveLength(2);
    expect(used.received).toMatch(/Connection: close/i);
    expect(unused.ending).toBeUndefined();
    clock.advance(1_000);
    await unused.closed();
    await stopped;
    expect(clock.pending).toBe(0);
  });

  it('ends with the response to a request that waits for 100 Continue', async () => {
    const clock = new ManualClock();
    const env = { REUSE_PORT: 'true', DRAIN_GRACE: '1s' };
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/budgeting': [service] }, env, clock });
    using client = await RawClient.to(test[port]);
    client.send(request('GET /healthz', KEEP_ALIVE));
    await client.answer();
    const stopped = test.gateway.stop();
    await eventually('it listens no more', async () => !(await listens(test[port])));
    const path = port === 'external' ? '/budgeting/x' : '/internal/budgeting/x';
    const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
    const fields = [KEEP_ALIVE, authorization, 'Expect: 100-continue', 'Content-Length: 2'];
    client.send(request(`POST ${path}`, ...fields));
    await eventually('100 Continue', () => client.received.includes('100 Continue'));
    client.send('ok');
    expect(await client.closed()).toBe('ended');
    expect(client.received.match(/HTTP\/1.1 200/g)).toHaveLength(2);
    expect(client.received).toMatch(/Connection: close/i);
    clock.advance(1_000);
    await stopped;
  });
});

async function listens(origin: string): Promise<boolean> {
  try {
    using _ = await RawClient.to(origin);
    return true;
  } catch {
    return false;
  }
}

describe('the advice on connections that nobody has accepted yet', () => {
  it.each([
    { content: '0\n', advises: true },
    { content: '1\n', advises: false },
    { content: undefined, advises: false },
  ])('with $content in the kernel: $advises', ({ content, advises }) => {
    const directory = mkdtempSync(join(tmpdir(), 'accept-queue-'));
    const path = join(directory, 'tcp_migrate_req');
    if (content !== undefined) writeFileSync(path, content);
    expect(acceptQueueAdvice(path)?.includes('tcp_migrate_req') ?? false).toBe(advises);
    rmSync(directory, { recursive: true });
  });
});
