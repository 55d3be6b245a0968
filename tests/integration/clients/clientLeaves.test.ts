import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { hangs, type RawBehaviour, says, startRawUpstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

/** How a client goes: in good order, as a crash does, or leaving its half open. */
const WAYS = {
  closes: (client: RawClient) => void client.socket.destroy(),
  resets: (client: RawClient) => client.reset(),
  'ends its half': (client: RawClient) => void client.socket.end(),
};

/** Answers without end, and reads what the peer lets it write. */
const floods: RawBehaviour = (socket) => {
  socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  const pour = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', pour);
  pour();
};

interface Stage {
  readonly service: RawBehaviour;
  readonly send: (port: Port) => string;
  /** Whether the request is where the client is to leave it. */
  readonly reached: (client: RawClient, test: TestGateway) => Promise<unknown>;
}

function get(port: Port): string {
  return request(`GET ${pathOn(port)}`, authorization);
}

function pathOn(port: Port): string {
  return port === 'external' ? '/up/x' : '/internal/up/x';
}

const begun = (client: RawClient) => eventually('some content', () => client.received.includes('\r\n\r\n'));
const calling = (_client: RawClient, test: TestGateway) => underWay(test, 1);

const STAGES: Readonly<Record<string, Stage>> = {
  'before the head of the answer': { service: hangs, send: get, reached: calling },
  'behind the head of the answer': {
    service: says('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'),
    send: get,
    reached: begun,
  },
  'within the answer': {
    service: says('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok'),
    send: get,
    reached: begun,
  },
  'within an answer that it reads too slowly': {
    service: floods,
    send: get,
    async reached(client) {
      await begun(client);
      client.socket.pause();
    },
  },
  'within its upload': {
    service: hangs,
    send: (port) => `${request(`POST ${pathOn(port)}`, authorization, 'Content-Length: 9')}half`,
    reached: calling,
  },
  'within a chunk of its upload': {
    service: hangs,
    send: (port) =>
      `${request(`POST ${pathOn(port)}`, authorization, 'Transfer-Encoding: chunked')}9\r\nhalf`,
    reached: calling,
  },
  'behind its upload': {
    service: hangs,
    send: (port) => `${request(`POST ${pathOn(port)}`, authorization, 'Content-Length: 4')}half`,
    reached: calling,
  },
};

const cases = Object.entries(STAGES).flatMap(([where, stage]) =>
  Object.entries(WAYS).map(([how, leave]) => [how, where, leave, stage] as const),
);

describe.each(PORTS)('a client of the %s port that', (port) => {
  it.each(cases)('%s %s takes nothing along', async (_how, _where, leave, { service, send, reached }) => {
    await using upstream = await startRawUpstream(service);
    await using test = await startGateway({ services: { '/up': [upstream] } });
    using client = await RawClient.to(test[port]);
    client.send(send(port));
    await reached(client, test);
    await eventually('the service is called', () => upstream.requests.length === 1);
    leave(client);
    await eventually('the service has lost its connection', () => upstream.open === 0);
    await expectNothingHeld(test);
    expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    const [line] = await eventually('its access line', () => accessLines(test));
    expect(line).toMatchObject({ port, service: '/up' });
    expect(line?.status === 0).toBe(String(line?.message).includes('client gone'));
  });
});

it('a client that leaves while it waits for a permit gives its place back', async () => {
  await using upstream = await startRawUpstream(hangs);
  await using test = await startGateway({
    services: { '/up': [upstream] },
    env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '1' },
  });
  const requests = test.gateway.parts.services[0]?.limits.requests;
  using first = await RawClient.to(test.external);
  first.send(get('external'));
  await underWay(test, 1);
  using second = await RawClient.to(test.external);
  second.send(get('external'));
  await eventually('it waits', () => requests?.waiting === 1);
  second.reset();
  await eventually('its place is free', () => requests?.waiting === 0);
  first.reset();
  await expectNothingHeld(test);
  expect(upstream.requests).toHaveLength(1);
});

function accessLines(test: TestGateway): Record<string, unknown>[] | undefined {
  const lines = test.logLines().filter(({ seconds }) => seconds !== undefined);
  return lines.length > 0 ? lines : undefined;
}
