import { connect, type Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

describe('HEADERS_TIMEOUT', () => {
  it.each([
    ['says nothing', ''],
    ['stops within its head', 'GET /up/x HTTP/1.1\r\nHost: h\r\nX-A'],
  ])('closes the connection of a client that %s', async (_what, bytes) => {
    await using upstream = await startUpstream();
    await using test = await startGateway({
      services: { '/up': [upstream] },
      env: { HEADERS_TIMEOUT: '200ms' },
    });
    using client = await RawClient.to(test.external);
    if (bytes) client.send(bytes);
    await client.closed();
    expect(client.received).toBe('');
  });

  it('is not put off by a byte now and then', async () => {
    await using upstream = await startUpstream();
    await using test = await startGateway({
      services: { '/up': [upstream] },
      env: { HEADERS_TIMEOUT: '300ms' },
    });
    using client = await RawClient.to(test.external);
    client.send('GET /up/x HTTP/1.1\r\nHost: h\r\nX-Drip: ');
    await eventually('the end of its connection', () => {
      if (client.ending === undefined) client.send('x');
      return client.ending !== undefined;
    });
  });
});

it('MAX_CONNECTIONS: more are closed unheard, and there is room again when one leaves', async () => {
  await using upstream = await startUpstream();
  await using test = await startGateway({ services: { '/up': [upstream] }, env: { MAX_CONNECTIONS: '4' } });
  const held: Socket[] = [];
  const { port } = new URL(test.external);
  // 0.8 of them: all that one address may have.
  for (let n = 0; n < 3; n += 1) held.push(connect(Number(port), '127.0.0.1').on('error', () => {}));
  await eventually('they are open', () => held.every(({ readyState }) => readyState === 'open'));
  using refused = await RawClient.to(test.external);
  await refused.closed();
  held.pop()?.destroy();
  await eventually('served again', async () => {
    using client = await RawClient.to(test.external);
    client.send(request('GET /up/x', authorization));
    await eventually('the end', () => client.ending);
    return client.received.startsWith('HTTP/1.1 200');
  });
  for (const socket of held) socket.destroy();
});

it.each(['1', '2'])('MAX_CONNECTIONS: one address cannot have them all, WORKERS=%s', async (WORKERS) => {
  await using upstream = await startUpstream();
  await using gateway = await startGatewayProcess({
    services: { '/up': [upstream] },
    env: { MAX_CONNECTIONS: '10', WORKERS },
  });
  const { port } = new URL(gateway.external);
  const held: Socket[] = [];
  for (let n = 0; n < 10; n += 1) {
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.2' });
    held.push(socket.on('error', () => {}).resume());
  }
  await eventually('two of ten are closed', () => held.filter(({ closed }) => closed).length === 2);
  expect((await sendRaw(gateway.external, request('GET /up/x', authorization))).status).toBe(200);
  expect(held.filter(({ closed }) => closed)).toHaveLength(2);
  for (const socket of held) socket.destroy();
});

it('MAX_CONNECTIONS: a trusted proxy may have them all', async () => {
  await using upstream = await startUpstream();
  const env = { MAX_CONNECTIONS: '4', TRUSTED_PROXIES: '127.0.0.1' };
  await using test = await startGateway({ services: { '/up': [upstream] }, env });
  await using stack = new AsyncDisposableStack();
  const clients: RawClient[] = [];
  for (let n = 0; n < 4; n += 1) clients.push(stack.use(await RawClient.to(test.external)));
  for (const client of clients) {
    client.send(request('GET /up/x', authorization, 'Connection: keep-alive'));
    expect((await client.answer()).status).toBe(200);
  }
});

describe('SEND_TIMEOUT', () => {
  // A kept answer leaves in one piece: nobody waits for its client but the connection itself.
  it('cuts a client off that does not read a kept response, and gives its permit back', async () => {
    const large = 'x'.repeat(8_000_000);
    await using upstream = await startUpstream((_req, res) => {
      res.setHeader('Cache-Control', 'public, max-age=60').end(large);
    });
    const env = { SEND_TIMEOUT: '300ms', CACHE_MAX_ENTRY_BYTES: '16MiB' };
    await using test = await startGateway({ services: { '/up': [upstream] }, env });
    expect((await sendRaw(test.external, request('GET /up/x', authorization))).whole).toBe(true);
    using client = await RawClient.to(test.external);
    client.socket.pause();
    client.send(request('GET /up/x', authorization, 'Connection: keep-alive'));
    await eventually('the hit', async () => (await test.metric('gateway_cache_hits_total')) === 1);
    await expectNothingHeld(test);
    client.socket.resume();
    await client.closed();
    expect(client.received.length).toBeLessThan(large.length);
  });

  it('leaves a stream alone that merely has nothing to say', async () => {
    const { promise: go, resolve } = Promise.withResolvers<void>();
    await using upstream = await startUpstream(async (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: one\n\n');
      await go;
      res.end('data: two\n\n');
    });
    await using test = await startGateway({ services: { '/up': [upstream] }, env: { SEND_TIMEOUT: '50ms' } });
    using client = await RawClient.to(test.external);
    client.send(request('GET /up/x', authorization));
    await eventually('the first event', () => client.received.includes('one'));
    using idle = await RawClient.to(test.external);
    // It has been quiet for as long as the stream.
    await idle.closed();
    resolve();
    expect((await client.answer()).body).toBe('data: one\n\ndata: two\n\n');
  });
});

it('content that nobody wants is not read for ever after a 401', async () => {
  await using upstream = await startUpstream();
  await using test = await startGateway({ services: { '/up': [upstream] } });
  using client = await RawClient.to(test.external);
  client.send(request('POST /up/x', 'Transfer-Encoding: chunked', 'Connection: keep-alive'));
  expect((await client.answer('POST')).status).toBe(401);
  await eventually(
    'the end of its connection',
    () => {
      if (client.ending === undefined) client.send('5\r\nhello\r\n');
      return client.ending !== undefined;
    },
    20_000,
  );
}, 30_000);

it('ten dripping uploads to login do not keep others from it', async () => {
  await using upstream = await startUpstream();
  const services = { '/userManagement': [upstream] };
  await using test = await startGateway({ services, env: { REQUEST_TIMEOUT: '1s' } });
  const login = (...lines: string[]) => request('POST /userManagement/auth/login', ...lines);
  const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.to(test.external)));
  for (const client of clients) client.send(login('Content-Length: 1000'));
  await eventually('all of them', () => test.gateway.parts.limits.content.held === 10);
  for (const client of clients) client.send('x');
  expect((await sendRaw(test.external, `${login('Content-Length: 2')}{}`)).status).toBe(200);
  await eventually('their end', () => clients.every(({ received }) => received.includes(' 408 ')));
  for (const client of clients) client[Symbol.dispose]();
});
