import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const QUIET_MS = 200;
const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

/** Nothing in this process runs meanwhile, the gateway neither. */
function holdUp(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}

// Its timer fired before the request was read that had come in time: the client saw its connection closed instead.
describe('a process that is held up for longer than a connection may be idle', () => {
  it('serves the request that came meanwhile', async () => {
    await using upstream = await startUpstream();
    const env = { SEND_TIMEOUT: `${QUIET_MS}ms` };
    await using test = await startGateway({ services: { '/up': [upstream] }, env });
    using client = await RawClient.to(test.external);
    // Connections are let in by turns: the one before this one is.
    await sendRaw(test.external, request('GET /healthz'));
    // From here on the timers come first, and what the sockets bring after them.
    await nextTurn();
    client.send(request('GET /up/x', authorization));
    holdUp(2 * QUIET_MS);
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
  });

  it('still closes those that are idle', async () => {
    await using upstream = await startUpstream();
    const env = { SEND_TIMEOUT: `${QUIET_MS}ms` };
    await using test = await startGateway({ services: { '/up': [upstream] }, env });
    using client = await RawClient.to(test.external);
    await sendRaw(test.external, request('GET /healthz'));
    holdUp(2 * QUIET_MS);
    await client.closed();
    expect(client.received).toBe('');
  });
});
