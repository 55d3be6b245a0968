import { expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { hangs, says, startRawUpstream } from '../../support/upstreams/upstream.ts';

const handshake = request('GET /internal/chat/x', 'Connection: Upgrade', 'Upgrade: websocket');
const agrees = says('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');

it('a handshake that the service refused was agreed to with 101', async () => {
  await using upstream = await startRawUpstream(
    says('HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nshort'),
  );
  await using gateway = await startGateway({ services: { '/chat': [upstream] } });
  expect(await sendRaw(gateway.internal, handshake)).toMatchObject({
    status: 418,
    body: 'short',
    whole: true,
  });
});

it('a client that left during its handshake was noticed only at the deadline, and the service blamed', async () => {
  await using upstream = await startRawUpstream(hangs);
  await using gateway = await startGateway({ services: { '/chat': [upstream] } });
  using client = await RawClient.to(gateway.internal);
  client.send(handshake);
  await eventually('the service has it', () => upstream.requests.length === 1);
  client.socket.end();
  await eventually('the service sees it leave', () => upstream.open === 0, 2_000);
  await expectNothingHeld(gateway);
  expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
});

it('the service kept its side of a connection whose client was cut off', async () => {
  await using upstream = await startRawUpstream(agrees);
  await using gateway = await startGateway({ services: { '/chat': [upstream] } });
  using client = await RawClient.to(gateway.internal);
  client.send(handshake);
  await client.head();
  await gateway.stop();
  await eventually('the service sees it leave', () => upstream.open === 0);
});

it('an open connection did not count as load of its replica', async () => {
  await using upstream = await startRawUpstream(agrees);
  await using gateway = await startGateway({ services: { '/chat': [upstream] } });
  using client = await RawClient.to(gateway.internal);
  client.send(handshake);
  await client.head();
  await underWay(gateway, 1);
  client.reset();
  await underWay(gateway, 0);
});
