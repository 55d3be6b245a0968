import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const KEEP_ALIVE = 'Connection: keep-alive';
const GET = request('GET /internal/up/x', KEEP_ALIVE);

function answersIn(received: string): number {
  return received.match(/HTTP\/1\.1 200/g)?.length ?? 0;
}

/** How long the gateway waits on a connection that has just become idle, by the timer of its own socket. */
async function keptMs(test: TestGateway): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const onRequest = (message: unknown) => resolve((message as { socket: Socket }).socket);
  subscribe('http.server.request.start', onRequest);
  using client = await RawClient.to(test.internal);
  client.send(GET);
  await client.answer();
  unsubscribe('http.server.request.start', onRequest);
  return (await promise).timeout;
}

describe('an idle connection', () => {
  it('is kept for 75 s, more than the 60 s of most load balancers', async () => {
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] } });
    expect(await keptMs(test)).toBe(75_000);
  });

  // By the end of DRAIN_GRACE they have let go of it.
  it('is kept for 5 s by clients that read Keep-Alive', async () => {
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] } });
    using client = await RawClient.to(test.internal);
    client.send(GET);
    expect((await client.answer()).field('Keep-Alive')).toBe('timeout=5');
  });

  // Node's timers cannot be moved by hand. Each request of a batch meets another instant around the closing.
  it('is never closed with a request on it that has been read', async () => {
    await using service = await startUpstream();
    const env = { KEEP_ALIVE_TIMEOUT: '500ms' };
    await using test = await startGateway({ services: { '/up': [service] }, env });
    const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.to(test.internal)));
    await Promise.all(
      clients.map(async (client, n) => {
        client.send(GET);
        await client.answer();
        await sleep(500 - 20 + (n % 40));
        if (client.ending === undefined) {
          client.send(request('POST /internal/up/x', KEEP_ALIVE, 'Content-Length: 2'));
          client.send('ok');
        }
        await client.closed();
      }),
    );
    const posts = service.requests.filter(({ method }) => method === 'POST');
    const answered = clients.filter(({ received }) => answersIn(received) === 2);
    expect(posts.length).toBeGreaterThan(0);
    expect(answered).toHaveLength(posts.length);
  });

  it('is kept for 6 s only while three quarters of the places are taken', async () => {
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] }, env: { MAX_CONNECTIONS: '4' } });
    using _first = await RawClient.to(test.internal);
    expect(await keptMs(test)).toBe(75_000);
    using _second = await RawClient.to(test.internal);
    expect(await keptMs(test)).toBe(6_000);
  });
});

describe('a connection older than CONNECTION_MAX_AGE', () => {
  it('ends with the response to its next request', async () => {
    const clock = new ManualClock();
    await using service = await startUpstream();
    const env = { CONNECTION_MAX_AGE: '5m' };
    await using test = await startGateway({ services: { '/up': [service] }, env, clock });
    using client = await RawClient.to(test.internal);
    client.send(GET);
    expect((await client.answer()).field('Connection')).toBe('keep-alive');
    clock.advance(5 * 60_000);
    client.send(GET);
    expect(await client.closed()).toBe('ended');
    expect(client.received).toMatch(/Connection: close/i);
    expect(answersIn(client.received)).toBe(2);
  });

  it('goes on for as long as it likes by default', async () => {
    const clock = new ManualClock();
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] }, clock });
    using client = await RawClient.to(test.internal);
    client.send(GET);
    await client.answer();
    clock.advance(30 * 24 * 60 * 60_000);
    client.send(request('GET /internal/up/x', KEEP_ALIVE));
    const second = () => client.received.split('HTTP/1.1 200').length === 3;
    for (let n = 0; n < 200 && !second(); n += 1) await sleep(5);
    expect(client.received).not.toMatch(/Connection: close/i);
    expect(answersIn(client.received)).toBe(2);
  });
});
