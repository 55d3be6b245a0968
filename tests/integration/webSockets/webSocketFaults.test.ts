import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { RawClient, type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import {
  type RawBehaviour,
  resets,
  says,
  saysAndCloses,
  saysAndResets,
  startRawUpstream,
} from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const MIB = 1024 * 1024;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

const authorization = `Authorization: ${bearer(tokenFor('ann')).Authorization}`;

function pathOn(port: Port): string {
  return port === 'external' ? '/socket/x' : '/internal/socket/x';
}

function handshake(port: Port): string {
  return request(
    `GET ${pathOn(port)}`,
    authorization,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  );
}

/** What comes of a handshake: an answer that is the service's own or the gateway's, or one cut short. */
type Outcome = 'upstream_unreachable' | 'upstream_bad_response' | 'upstream_head_too_large' | 'cut' | number;

/** What says nothing about the replica. */
const NO_FAILURE: ReadonlySet<Outcome> = new Set(['upstream_head_too_large']);

const FAULTS: readonly (readonly [what: string, service: RawBehaviour, outcome: Outcome])[] = [
  ['resets', resets, 'upstream_unreachable'],
  ['closes without a word', saysAndCloses(''), 'upstream_unreachable'],
  [
    'closes within its fields',
    saysAndCloses('HTTP/1.1 101 Switching Protocols\r\nConn'),
    'upstream_unreachable',
  ],
  ['has status 099', says('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'), 'upstream_bad_response'],
  [
    'agrees with a control byte in a field',
    says(`${SWITCHING}X-Odd: a\x01b\r\n\r\n`),
    'upstream_bad_response',
  ],
  [
    'agrees with 100 kB of fields',
    says(`${SWITCHING}X-Long: ${'x'.repeat(100_000)}\r\n\r\n`),
    'upstream_head_too_large',
  ],
  [
    'refuses with a control byte in its reason',
    says('HTTP/1.1 403 N\x01o\r\nContent-Length: 0\r\n\r\n'),
    'upstream_bad_response',
  ],
  [
    'refuses with two lengths',
    says('HTTP/1.1 403 No\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n'),
    'upstream_bad_response',
  ],
  ['refuses without content', says('HTTP/1.1 204 No Content\r\n\r\n'), 204],
  [
    'refuses with chunks',
    says('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'),
    403,
  ],
  [
    'refuses with chunks and trailers',
    says('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX-Sum: 1\r\n\r\n'),
    403,
  ],
  [
    'refuses with trailers beside a length',
    says('HTTP/1.1 403 No\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nno'),
    403,
  ],
  ['refuses until it closes', saysAndCloses('HTTP/1.1 403 No\r\n\r\nno'), 403],
  ['answers as if nobody had asked for more', says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 200],
  [
    'hints first',
    says('HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno'),
    403,
  ],
  ['closes within its refusal', saysAndCloses('HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nno'), 'cut'],
  ['resets within its refusal', saysAndResets('HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nno'), 'cut'],
  [
    'resets within the chunks of its refusal',
    saysAndResets('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n'),
    'cut',
  ],
];

async function expectOutcome(answer: RawResponse, outcome: Outcome): Promise<void> {
  if (typeof outcome === 'number') expect(answer).toMatchObject({ status: outcome, whole: true, rest: '' });
  else if (outcome === 'cut') expect(answer).toMatchObject({ status: 403, whole: false });
  else await expectProblem(answer, outcome);
}

async function expectNoPlaceHeld(test: TestGateway): Promise<void> {
  await eventually('no place is held', () => test.gateway.parts.limits.upgrades.held === 0);
  await expectNothingHeld(test);
}

describe.each(PORTS)('asked for a WebSocket on the %s port, a service that', (port) => {
  it.each(FAULTS)('%s', async (_what, behaviour, outcome) => {
    await using upstream = await startRawUpstream(behaviour);
    await using test = await startGateway({ services: { '/socket': [upstream] } });
    await expectOutcome(await sendRaw(test[port], handshake(port)), outcome);
    await expectNoPlaceHeld(test);
    const failures = typeof outcome === 'number' || NO_FAILURE.has(outcome) ? 0 : 1;
    if (outcome !== 'cut') expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(failures);
    expect(test.logLines().filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('agrees and resets at once takes the client along', async () => {
    await using upstream = await startRawUpstream(saysAndResets(`${SWITCHING}\r\n\x81\x02hi`));
    await using test = await startGateway({ services: { '/socket': [upstream] } });
    using client = await RawClient.to(test[port]);
    client.send(handshake(port));
    await client.closed();
    expect(client.received).toMatch(/^HTTP\/1\.1 101 /);
    await expectNoPlaceHeld(test);
    expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });

  it('agrees adds no field of another connection, and names the request as the log does', async () => {
    const fields =
      'Connection: Upgrade, X-Own\r\nX-Own: 1\r\nKeep-Alive: timeout=1\r\nX-Request-Id: forged\r\n';
    const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n${fields}\r\n`;
    await using upstream = await startRawUpstream(says(head));
    await using test = await startGateway({ services: { '/socket': [upstream] } });
    using client = await RawClient.to(test[port]);
    client.send(handshake(port));
    const answer = await client.head();
    expect(answer).toMatchObject({ status: 101 });
    expect(answer.field('X-Own')).toBeUndefined();
    expect(answer.field('Keep-Alive')).toBeUndefined();
    const line = await eventually('the line', () => test.logLines().find(({ status }) => status === 101));
    expect(answer.field('X-Request-Id')).toBe(line.requestId);
    expect(upstream.requests[0]?.fields).toContain(line.requestId);
  });
});

describe.each(PORTS)('a WebSocket on the %s port', (port) => {
  it('carries a MiB both ways, and keeps its replica busy until it closes', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/socket': [service] } });
    const url = `${test[port].replace('http', 'ws')}${pathOn(port)}`;
    const socket = new WebSocket(url, { headers: bearer(tokenFor('ann')) });
    await once(socket, 'open');
    for (const sent of [Buffer.alloc(MIB, 'b'), 'text'.repeat(MIB / 4)]) {
      const echo = once(socket, 'message');
      socket.send(sent);
      const [data, isBinary] = await echo;
      expect(isBinary).toBe(typeof sent !== 'string');
      expect(Buffer.from(sent).equals(data)).toBe(true);
    }
    await underWay(test, 1);
    expect(await test.metric('gateway_concurrent_requests')).toBe(0);
    socket.close();
    await expectNoPlaceHeld(test);
    await eventually('the service has lost it', () => service.sockets.size === 0);
  });
});

it('a real gateway process outlives every one of these faults', async () => {
  await using stack = new AsyncDisposableStack();
  const upstreams = await Promise.all(FAULTS.map(([, behaviour]) => startRawUpstream(behaviour)));
  for (const upstream of upstreams) stack.use(upstream);
  const services = Object.fromEntries(upstreams.map((upstream, n) => [`/socket${n}`, [upstream]]));
  const gateway = stack.use(await startGatewayProcess({ services }));
  const ask = (n: number) =>
    sendRaw(gateway.internal, handshake('internal').replace('/socket', `/socket${n}`));
  const statuses = await Promise.all(FAULTS.map(async ([what], n) => [what, (await ask(n)).status]));
  const expected = {
    cut: 403,
    upstream_unreachable: 502,
    upstream_bad_response: 502,
    upstream_head_too_large: 502,
  };
  expect(statuses).toEqual(
    FAULTS.map(([what, , outcome]) => [what, typeof outcome === 'number' ? outcome : expected[outcome]]),
  );
  // Stopping fails unless the process still lives and drains.
}, 30_000);
