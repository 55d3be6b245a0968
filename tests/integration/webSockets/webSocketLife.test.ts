import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { RawClient, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, keepSecret, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  resets,
  says,
  startRawUpstream,
} from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const token = tokenFor('ann');

const handshake = (...fields: string[]) =>
  `${[
    'GET /chat/x HTTP/1.1',
    'Host: gateway.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
  ].join('\r\n')}\r\n\r\n`;

const authorization = `Authorization: Bearer ${token}`;
const SWITCHES = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** Agrees to upgrade, and says `bytes` in the same breath. */
const switches = (bytes = ''): RawBehaviour => says(SWITCHES + bytes);

const webSocketUrl = (http: string) => `${http.replace('http', 'ws')}/chat/x`;

describe('a token among the subprotocols', () => {
  it('opens a WebSocket as from a browser, and never reaches the service', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    // ws refuses, as browsers do, when it offered something and nothing was chosen.
    const socket = new WebSocket(webSocketUrl(test.external), ['bearer', token]);
    await once(socket, 'open');
    expect(socket.protocol).toBe('bearer');
    const headers = service.handshakes[0]?.headers ?? {};
    expect(headers['sec-websocket-protocol']).toBeUndefined();
    expect(headers['x-auth-subject']).toBe('ann');
    expect(JSON.stringify(headers)).not.toContain(token);
    socket.terminate();
  });

  it('leaves the others to the service', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const socket = new WebSocket(webSocketUrl(test.external), ['v1', 'Bearer', token, 'v2']);
    await once(socket, 'open');
    expect(service.handshakes[0]?.headers['sec-websocket-protocol']).toBe('v1, v2');
    expect(socket.protocol).toBe('v1');
    socket.terminate();
  });

  it('is found in two field lines too, and stripped from both', async () => {
    await using service = await startRawUpstream(switches());
    await using test = await startGateway({ services: { '/chat': [service] } });
    using client = await RawClient.to(test.external);
    client.send(handshake('Sec-WebSocket-Protocol: bearer', `Sec-WebSocket-Protocol: ${token}`));
    await eventually('101', () => client.received.startsWith('HTTP/1.1 101'));
    expect(service.requests[0]?.fields.join()).not.toContain(token);
  });

  it.each([
    ['that is not valid', ['bearer', keepSecret('no.valid.token')], 'token_invalid'],
    ['that is missing', ['bearer'], 'token_missing'],
    ['without bearer in front', [token], 'token_missing'],
  ] as const)('%s is refused by a real 401', async (_what, offered, code) => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const bytes = handshake(`Sec-WebSocket-Protocol: ${offered.join(', ')}`);
    await expectProblem(await sendRaw(test.external, bytes), code);
    expect(service.handshakes).toHaveLength(0);
  });

  it('opens nothing but a WebSocket', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const headers = { 'Sec-WebSocket-Protocol': `bearer, ${token}` };
    expect((await fetch(`${test.external}/chat/x`, { headers })).status).toBe(401);
  });

  it('is none on the internal port, where everything is passed on', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const url = webSocketUrl(test.internal).replace('/chat', '/internal/chat');
    const socket = new WebSocket(url, ['bearer', 'other']);
    await once(socket, 'open');
    expect(service.handshakes[0]?.headers['sec-websocket-protocol']).toBe('bearer,other');
    socket.terminate();
  });
});

describe('a handshake', () => {
  it.each([
    ['is down', undefined],
    ['resets', resets],
  ] as const)('goes to another replica when the first %s', async (_what, behaviour) => {
    await using service = await startSocketService();
    await using broken = await startRawUpstream(behaviour ?? hangs);
    const first = behaviour ? broken.url : refusedUrl();
    const random = () => 0;
    await using test = await startGateway({ services: { '/chat': [first, service] }, random });
    for (let n = 1; n <= 2; n += 1) {
      const socket = new WebSocket(webSocketUrl(test.external), { headers: bearer(token) });
      await once(socket, 'open');
      const echo = once(socket, 'message');
      socket.send('hello');
      expect(String((await echo)[0])).toBe('hello');
      socket.terminate();
    }
    expect(await test.metric('gateway_failovers_total')).toBeGreaterThan(0);
    expect(service.handshakes.every(({ headers }) => headers['x-forwarded-for'] === '127.0.0.1')).toBe(true);
  });

  it('that goes to another replica takes the frame along that came with it', async () => {
    await using service = await startSocketService();
    await using broken = await startRawUpstream(resets);
    await using test = await startGateway({ services: { '/chat': [broken, service] }, random: () => 0 });
    for (let n = 1; n <= 2; n += 1) {
      using client = await RawClient.to(test.external);
      client.send(`${handshake(authorization)}\x81\x82\0\0\0\0hi`);
      await eventually('the echo', () => client.received.endsWith('\x81\x02hi'));
    }
    expect(broken.requests.length).toBeGreaterThan(0);
  });

  it('whose refusal falls silent ends', async () => {
    const clock = new ManualClock();
    await using service = await startRawUpstream(says('HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nbegun'));
    await using test = await startGateway({ services: { '/chat': [service] }, clock });
    using client = await RawClient.to(test.external);
    client.send(handshake(authorization));
    await eventually('its beginning', () => client.received.endsWith('begun'));
    clock.advance(10_000);
    await client.closed();
    expect((await client.answer()).whole).toBe(false);
    await eventually('the service is let go', () => service.open === 0);
  });
});

describe('a drain that is out of time', () => {
  it('tells both sides of a WebSocket with 1001', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] }, env: { DRAIN_TIMEOUT: '0' } });
    const socket = new WebSocket(webSocketUrl(test.external), { headers: bearer(token) });
    await once(socket, 'open');
    const [serviceSide] = [...service.sockets];
    const clientClosed = once(socket, 'close');
    const serviceClosed = once(serviceSide as WebSocket, 'close');
    await test.stop();
    expect((await clientClosed)[0]).toBe(1001);
    expect((await serviceClosed)[0]).toBe(1001);
  });

  it('lets the frame on its way come to its end first', async () => {
    let serve: ((bytes: string) => void) | undefined;
    await using service = await startRawUpstream((socket) => {
      // A text frame of ten bytes, of which five are still to come.
      socket.write(`${SWITCHES}\x81\x0abegun`, 'latin1');
      serve = (bytes) => void socket.write(bytes, 'latin1');
    });
    await using test = await startGateway({ services: { '/chat': [service] }, env: { DRAIN_TIMEOUT: '0' } });
    using client = await RawClient.to(test.external);
    client.send(handshake(authorization));
    await eventually('half a frame', () => client.received.endsWith('\x81\x0abegun'));
    const stopped = test.stop();
    await eventually('its time is over', () =>
      test.logLines().find(({ message }) => String(message).startsWith('Drain timeout')),
    );
    // Behind the turn in which it was logged.
    setImmediate(() => serve?.('ended\x81\x04late'));
    await client.closed();
    await stopped;
    expect(client.received.endsWith('\x81\x0abegunended\x88\x02\x03\xe9')).toBe(true);
  });

  it('cuts a client that does not answer', async () => {
    await using service = await startRawUpstream(switches());
    await using test = await startGateway({ services: { '/chat': [service] }, env: { DRAIN_TIMEOUT: '0' } });
    using client = await RawClient.to(test.external);
    client.send(handshake(authorization));
    await eventually('101', () => client.received.startsWith('HTTP/1.1 101'));
    await test.stop();
    await client.closed();
    await eventually('the service is let go', () => service.open === 0);
  });
});

describe('an open WebSocket', () => {
  it('passes ping, pong and close codes both ways', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const socket = new WebSocket(webSocketUrl(test.external), { headers: bearer(token) });
    await once(socket, 'open');
    const [serviceSide] = [...service.sockets] as [WebSocket];
    const pong = once(socket, 'pong');
    socket.ping('there?');
    expect(String((await pong)[0])).toBe('there?');
    const servicePong = once(serviceSide, 'pong');
    serviceSide.ping('and you?');
    expect(String((await servicePong)[0])).toBe('and you?');
    const closed = once(socket, 'close');
    serviceSide.close(4321, 'enough');
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([4321, 'enough']);
  });

  it('passes a message of 64 MiB, with back-pressure', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const socket = new WebSocket(webSocketUrl(test.external), {
      headers: bearer(token),
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    const large = Buffer.alloc(64 * 2 ** 20, 'a');
    const echo = once(socket, 'message');
    socket.send(large);
    expect((await echo)[0].equals(large)).toBe(true);
    socket.terminate();
  }, 60_000);

  it('stops reading a service whose client does not read', async () => {
    let sentBytes = 0;
    const piece = Buffer.alloc(2 ** 16, 0x7f);
    await using service = await startRawUpstream(async (socket) => {
      socket.write(`${SWITCHES}\x82\x7f\0\0\0\0\x10\0\0\0`, 'latin1');
      while (sentBytes < 2 ** 28 && !socket.destroyed) {
        sentBytes += piece.length;
        if (!socket.write(piece)) await once(socket, 'drain').catch(() => {});
      }
    });
    await using test = await startGateway({ services: { '/chat': [service] } });
    using client = await RawClient.to(test.external);
    client.socket.once('data', () => client.socket.pause());
    client.send(handshake(authorization));
    let quietPolls = 0;
    let seenBytes = -1;
    await eventually('it is held up', () => {
      quietPolls = sentBytes === seenBytes && sentBytes > 0 ? quietPolls + 1 : 0;
      seenBytes = sentBytes;
      return quietPolls === 20;
    });
    expect(sentBytes).toBeLessThan(2 ** 27);
  });

  it('whose client has ended its half still brings what the service says', async () => {
    await using service = await startRawUpstream((socket) => {
      socket.write(SWITCHES);
      socket.once('end', () => socket.end('\x81\x03bye', 'latin1'));
    });
    await using test = await startGateway({ services: { '/chat': [service] } });
    using client = await RawClient.to(test.external);
    client.send(handshake(authorization));
    await eventually('101', () => client.received.startsWith('HTTP/1.1 101'));
    client.socket.end();
    await eventually('the last word', () => client.received.endsWith('\x81\x03bye'));
  });

  it('whose client has ended lasts only as long as the service says something', async () => {
    let served: Socket | undefined;
    const clock = new ManualClock();
    const behaviour: RawBehaviour = (socket) => {
      served = socket;
      socket.write(SWITCHES);
    };
    await using service = await startRawUpstream(behaviour, { allowHalfOpen: true });
    const env = { UPSTREAM_TIMEOUT: '10s' };
    await using test = await startGateway({ services: { '/chat': [service] }, clock, env });
    using client = await RawClient.to(test.external);
    client.send(handshake(authorization));
    await eventually('101', () => client.received.startsWith('HTTP/1.1 101'));
    client.socket.end();
    await eventually('the service has been told', () => served?.readableEnded);
    clock.advance(9_000);
    served?.write('\x81\x02hi', 'latin1');
    await eventually('it is passed on', () => client.received.endsWith('hi'));
    clock.advance(9_000);
    const { upgrades } = test.gateway.parts.limits;
    expect(upgrades.held).toBe(1);
    clock.advance(1_000);
    await eventually('its permit is given back', () => upgrades.held === 0);
  });

  it('is one of hundreds', async () => {
    await using service = await startSocketService();
    await using test = await startGateway({ services: { '/chat': [service] } });
    const open = async () => {
      const socket = new WebSocket(webSocketUrl(test.external), { headers: bearer(token) });
      await once(socket, 'open');
      return socket;
    };
    const sockets: WebSocket[] = [];
    for (let n = 0; n < 60; n += 1) sockets.push(...(await Promise.all(Array.from({ length: 5 }, open))));
    expect(service.sockets.size).toBe(300);
    const echoes = sockets.map((socket) => once(socket, 'message'));
    for (const [n, socket] of sockets.entries()) socket.send(String(n));
    expect((await Promise.all(echoes)).map(([data]) => String(data))).toEqual(
      sockets.map((_, n) => String(n)),
    );
    for (const socket of sockets) socket.terminate();
  });
});
