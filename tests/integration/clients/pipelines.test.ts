import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const KEEP_ALIVE = 'Connection: keep-alive';
const FLOOD = 100_000;

/** The gateway's end of the connection that sends the first request to `/internal/slow/x`. */
function gatewaySocket(): { readonly socket: () => Socket | undefined; readonly stop: () => void } {
  let found: Socket | undefined;
  const onStart = (message: unknown) => {
    const { request: req, socket } = message as { request: { url: string }; socket: Socket };
    if (req.url === '/internal/slow/x') found ??= socket;
  };
  subscribe('http.server.request.start', onStart);
  return { socket: () => found, stop: () => unsubscribe('http.server.request.start', onStart) };
}

async function startSlow() {
  const held: ServerResponse[] = [];
  const slow = await startUpstream((_req, res) => void held.push(res));
  return Object.assign(slow, { held });
}

describe('requests sent ahead on one connection', () => {
  it.each([
    ['GET', 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['POST', 'POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'],
  ])('are not read without end behind a slow one: %s', async (_method, ahead) => {
    await using slow = await startSlow();
    await using test = await startGateway({ services: { '/slow': [slow] } });
    const { socket, stop } = gatewaySocket();
    using client = await RawClient.to(test.internal);
    client.send(request('GET /internal/slow/x', KEEP_ALIVE));
    await eventually('it is asked', () => slow.held.length === 1);
    stop();
    client.send(ahead.repeat(FLOOD));
    await eventually('no more is read', async () => {
      const before = socket()?.bytesRead ?? 0;
      await sleep(100);
      return before > 1_000 && socket()?.bytesRead === before;
    });
    expect(socket()?.bytesRead).toBeLessThan(300_000);
    client.reset();
  });

  it.each([101, 102, 103, 104])(
    'are answered at once, %i of them, and so is the one behind',
    async (count) => {
      await using up = await startUpstream();
      await using test = await startGateway({ services: { '/up': [up] } });
      using client = await RawClient.to(test.internal);
      client.send(request('GET /healthz', KEEP_ALIVE).repeat(count));
      await eventually('all are answered', () => client.received.split('HTTP/1.1 200').length === count + 1);
      client.send(request('GET /healthz'));
      await client.closed();
      expect(client.received.split('HTTP/1.1 200')).toHaveLength(count + 2);
    },
  );

  it('are all answered in the end, in order', async () => {
    await using slow = await startSlow();
    await using up = await startUpstream((req, res) => void res.end(`[${req.url}]`));
    await using test = await startGateway({ services: { '/slow': [slow], '/up': [up] } });
    using client = await RawClient.to(test.internal);
    client.send(request('GET /internal/slow/x', KEEP_ALIVE));
    await eventually('it is asked', () => slow.held.length === 1);
    const paths = Array.from({ length: 1_000 }, (_, n) => `/${n}`);
    for (const path of paths) client.send(request(`GET /internal/up${path}`, KEEP_ALIVE));
    client.send(request('GET /healthz'));
    await sleep(100);
    slow.held[0]?.end('slow');
    await client.closed();
    const answers = [...client.received.matchAll(/\[(\/\d+)\]/g)].map(([, path]) => path);
    expect(answers).toEqual(paths);
  });
});
