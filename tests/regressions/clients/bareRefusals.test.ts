import { describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

/** A gateway in front of a service that begins an answer to /begun and ends every other. */
async function start() {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(
    await startUpstream((req, res) => void (req.url === '/begun' ? res.write('begun') : res.end('ok'))),
  );
  const gateway = stack.use(await startGateway({ services: { '/up': [upstream] } }));
  return { gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('what Node or Express once answered for the gateway', () => {
  it.each([
    // Node's own 400, without a word.
    ['no Host', 'GET /internal/up/x HTTP/1.1\r\nConnection: close\r\n\r\n', 'bad_request'],
    // The gateway's own, but without a request id.
    ['no HTTP', 'hello\r\n\r\n', 'bad_request'],
    // Nothing at all: Node closed the connection.
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 'method_not_allowed'],
    // Express's page, in HTML, with the library's words: its parser threw.
    ['a target that cannot be parsed', request('GET http://[::1/up/x'), 'no_such_service'],
  ] as const)('%s gets problem details', async (_what, bytes, code) => {
    await using world = await start();
    await expectProblem(await sendRaw(world.gateway.internal, bytes), code);
  });

  it('an expectation nobody knows is not a bare 417', async () => {
    await using world = await start();
    const bytes = request('GET /internal/up/x', 'Expect: miracles');
    expect(await sendRaw(world.gateway.internal, bytes)).toMatchObject({ status: 200, body: 'ok' });
  });

  it('curl --http2 is served, not cut off', async () => {
    await using world = await start();
    const bytes = request(
      'GET /internal/up/x',
      'Connection: Upgrade, HTTP2-Settings, close',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    );
    expect(await sendRaw(world.gateway.internal, bytes)).toMatchObject({ status: 200, body: 'ok' });
  });
});

it('a refusal was written into the middle of a response that had begun', async () => {
  await using world = await start();
  using client = await RawClient.to(world.gateway.internal);
  client.send(request('GET /internal/up/begun', 'Connection: keep-alive'));
  await eventually('it has begun', () => client.received.includes('begun'));
  client.send('garbage\r\n\r\n');
  await client.closed();
  expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(await client.answer()).toMatchObject({ body: 'begun', whole: false });
});

it('a refusal was given for the response to the request before', async () => {
  await using world = await start();
  using client = await RawClient.to(world.gateway.internal);
  // Both arrive before the service has answered the first.
  client.send(`${request('GET /internal/up/x', 'Connection: keep-alive')}garbage\r\n\r\n`);
  await client.closed();
  if (client.received) expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
});

it('a refused client that keeps its half open kept its connection for ever', async () => {
  await using world = await start();
  using client = await RawClient.to(world.gateway.internal);
  client.send('hello\r\n\r\n');
  expect(await client.closed()).toBe('ended');
  await eventually('the gateway lets go', () => {
    client.send('more');
    return client.socket.destroyed;
  });
});
