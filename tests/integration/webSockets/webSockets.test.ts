import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import WebSocket, { WebSocketServer } from 'ws';
import { fieldValues } from '../../../lib/http/fields.ts';
import { RawClient, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  NEVER_LOGGED,
  NOBODY,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem, type ProblemCode } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  refusedUrl,
  says,
  startRawUpstream,
  startUpstream,
} from '../../support/upstreams/upstream.ts';

const PORTS = ['external', 'internal'] as const;
type Port = (typeof PORTS)[number];
const token = tokenFor('ann');

/** A service that sends back what it gets. */
interface Echo extends AsyncDisposable {
  readonly url: URL;
  readonly handshakes: readonly IncomingMessage[];
  readonly sockets: WebSocketServer;
}

async function startEcho(): Promise<Echo> {
  const server = createServer();
  const handshakes: IncomingMessage[] = [];
  const open = new Set<Socket>();
  server.on('connection', (socket) => open.add(socket));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, req) => {
    handshakes.push(req);
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    handshakes,
    sockets,
    async [Symbol.asyncDispose]() {
      sockets.close();
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const urlOn = (gateway: TestGateway, port: Port, path = '/chat/room?x=1') =>
  `${gateway[port].replace('http', 'ws')}${port === 'internal' ? '/internal' : ''}${path}`;

async function open(gateway: TestGateway, port: Port, headers: Record<string, string> = bearer(token)) {
  const socket = new WebSocket(urlOn(gateway, port), { headers });
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

const handshake = (port: Port, path: string, ...fields: string[]) =>
  `${[
    `GET ${port === 'internal' ? '/internal' : ''}${path} HTTP/1.1`,
    'Host: gateway.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
  ].join('\r\n')}\r\n\r\n`;

const authorization = `Authorization: Bearer ${token}`;
const failures = (gateway: TestGateway) => gateway.metric('gateway_circuit_breaker_failures_total');

describe.each(PORTS)('WebSockets on the %s port', (port) => {
  it('carry text and bytes both ways', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    const socket = await open(gateway, port);
    for (const sent of ['hello', 'x'.repeat(200_000)]) {
      const answer = once(socket, 'message');
      socket.send(sent);
      expect(String((await answer)[0])).toBe(sent);
    }
    const answer = once(socket, 'message');
    socket.send(Buffer.from([0, 1, 255]));
    expect((await answer)[0]).toEqual(Buffer.from([0, 1, 255]));
    const closed = once(socket, 'close');
    socket.close(4001, 'done');
    expect((await closed)[0]).toBe(4001);
  });

  it('pass the first frame on that came along with the handshake', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    using client = await RawClient.to(gateway[port]);
    // A masked text frame: "hi" with the mask 0.
    client.send(`${handshake(port, '/chat/x', authorization)}\x81\x82\0\0\0\0hi`);
    await eventually('the echo', () => client.received.includes('\x81\x02hi'));
    expect(client.received).toMatch(/^HTTP\/1\.1 101 /);
  });

  it('tell the service the same as any request does', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    const socket = await open(gateway, port, {
      ...bearer(token),
      'X-Auth-Roles': 'admin',
      X_Auth_Subject: 'root',
      'X-Forwarded-For': '6.6.6.6',
      TE: 'trailers',
    });
    const { url, rawHeaders } = echo.handshakes[0] as IncomingMessage;
    expect(url).toBe('/room?x=1');
    expect(fieldValues(rawHeaders, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(fieldValues(rawHeaders, 'x-forwarded-prefix')).toEqual([
      port === 'internal' ? '/internal/chat' : '/chat',
    ]);
    expect(fieldValues(rawHeaders, 'x-request-id')).toHaveLength(1);
    expect(fieldValues(rawHeaders, 'trailer')).toEqual([]);
    if (port === 'external') {
      expect(fieldValues(rawHeaders, 'authorization')).toEqual([]);
      expect(fieldValues(rawHeaders, 'x-auth-subject')).toEqual(['ann']);
      expect(fieldValues(rawHeaders, 'x-auth-roles')).toEqual([]);
      expect(fieldValues(rawHeaders, 'x_auth_subject')).toEqual([]);
    }
    socket.terminate();
  });

  it.each([
    ['an unknown service', '/nobody/x', 'no_such_service'],
    ['an ambiguous path', '/chat/%2e%2e/x', 'bad_request'],
    ['a service that is down', '/down/x', 'upstream_unreachable'],
    ['a service without replicas', '/empty/x', 'no_healthy_replica'],
    ['a service that talks nonsense', '/nonsense/x', 'upstream_bad_response'],
  ] as const)('to %s get a real response', async (_what, path, code: ProblemCode) => {
    await using echo = await startEcho();
    await using nonsense = await startRawUpstream(says('nonsense\r\n\r\n'));
    await using gateway = await startGateway({
      services: { '/chat': [echo], '/down': [refusedUrl()], '/empty': [], '/nonsense': [nonsense] },
      env: { SERVICE_DISCOVERY_URL: NOBODY },
    });
    const answer = await sendRaw(gateway[port], handshake(port, path, authorization));
    await expectProblem(answer, code, { retryAfter: code === 'no_healthy_replica' ? 5 : 1 });
    expect(answer.field('Connection')).toBe('close');
  });

  it('get the response of a service that refuses', async () => {
    await using upstream = await startUpstream();
    const refusing = createServer();
    refusing.on('upgrade', (_req, socket: Socket) =>
      socket.end(
        'HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\nX-Own: a\r\nKeep-Alive: timeout=9\r\nX-Request-Id: forged\r\n\r\nshort',
      ),
    );
    refusing.listen(0, '127.0.0.1');
    await once(refusing, 'listening');
    const url = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
    await using gateway = await startGateway({ services: { '/chat': [url], '/x': [upstream] } });
    const answer = await sendRaw(gateway[port], handshake(port, '/chat/x', authorization));
    expect(answer).toMatchObject({ status: 418, body: 'short', whole: true });
    expect(answer.field('X-Own')).toBe('a');
    expect(answer.field('Keep-Alive')).toBeUndefined();
    expect(answer.field('X-Request-Id')).not.toBe('forged');
    expect(await failures(gateway)).toBe(0);
    const line = await eventually('the line', () => gateway.logLines().find(({ status }) => status === 418));
    expect(line).toMatchObject({ service: '/chat', port });
    refusing.close();
  });

  it('time out when the service does not answer the handshake, and blame it', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({ services: { '/chat': [upstream] }, clock });
    using client = await RawClient.to(gateway[port]);
    client.send(handshake(port, '/chat/x', authorization));
    await eventually('it is there', () => upstream.requests.length === 1);
    clock.advance(3_000);
    await expectProblem(await client.answer(), 'request_timeout');
    await eventually('the service sees its caller leave', () => upstream.open === 0);
    expect(await failures(gateway)).toBe(1);
  });

  it.each(['close', 'reset'] as const)(
    'whose client leaves in mid-handshake by %s blame nobody',
    async (way) => {
      await using upstream = await startRawUpstream(hangs);
      await using gateway = await startGateway({ services: { '/chat': [upstream] } });
      for (let n = 1; n <= 4; n += 1) {
        using client = await RawClient.to(gateway[port]);
        client.send(handshake(port, '/chat/x', authorization));
        await eventually('it is there', () => upstream.requests.length === n);
        if (way === 'reset') client.reset();
        else client.socket.destroy();
        await underWay(gateway, 0);
      }
      await eventually('the service sees them leave', () => upstream.open === 0);
      expect(await failures(gateway)).toBe(0);
    },
  );

  it('live on past every deadline', async () => {
    const clock = new ManualClock();
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] }, clock });
    const socket = await open(gateway, port);
    clock.advance(3_600_000);
    const answer = once(socket, 'message');
    socket.send('still there');
    expect(String((await answer)[0])).toBe('still there');
    socket.terminate();
  });

  it('close on the other side too, when the client or the service is cut off', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    const first = await open(gateway, port);
    const [serviceSide] = [...echo.sockets.clients];
    const serviceClosed = once(serviceSide as WebSocket, 'close');
    first.terminate();
    await serviceClosed;
    const second = await open(gateway, port);
    const clientClosed = once(second, 'close');
    for (const client of echo.sockets.clients) client.terminate();
    await clientClosed;
    await underWay(gateway, 0);
    expect(await failures(gateway)).toBe(0);
  });

  it('are one access line, at the end of the handshake', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    const socket = new WebSocket(urlOn(gateway, port, `/chat/x?token=${NEVER_LOGGED}`), {
      headers: bearer(token),
    });
    await once(socket, 'open');
    const line = await eventually('the line', () => gateway.logLines().find(({ status }) => status === 101));
    expect(line).toMatchObject({ port, service: '/chat', replica: echo.url.hostname });
    socket.terminate();
    await underWay(gateway, 0);
    expect(gateway.logLines().filter(({ requestId }) => requestId)).toHaveLength(1);
    expect(await gateway.metric('gateway_requests_total')).toBe(1);
  });

  it('are refused past MAX_UPGRADES, and admitted again when one closes', async () => {
    await using echo = await startEcho();
    const env = { MAX_UPGRADES: '2', FAIR_SHARE: '1' };
    await using gateway = await startGateway({ services: { '/chat': [echo] }, env });
    const first = await open(gateway, port);
    const second = await open(gateway, port);
    await expectProblem(
      await sendRaw(gateway[port], handshake(port, '/chat/x', authorization)),
      'upgrades_busy',
    );
    await underWay(gateway, 2);
    first.close();
    await underWay(gateway, 1);
    await eventually('the place is free', () => gateway.gateway.parts.limits.upgrades.held === 1);
    const third = await open(gateway, port);
    second.terminate();
    third.terminate();
    await underWay(gateway, 0);
  });

  it('of one caller who is alone leave room for whoever comes next', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] }, env: { MAX_UPGRADES: '5' } });
    const sockets = await Promise.all(Array.from({ length: 4 }, () => open(gateway, port)));
    await expectProblem(
      await sendRaw(gateway[port], handshake(port, '/chat/x', authorization)),
      'fair_share_used',
    );
    await eventually('four are open', () => gateway.gateway.parts.limits.upgrades.held === 4);
    for (const socket of sockets) socket.terminate();
    await underWay(gateway, 0);
  });

  it('are all refused with MAX_UPGRADES=0, while requests are served', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      services: { '/chat': [upstream] },
      env: { MAX_UPGRADES: '0' },
    });
    await expectProblem(
      await sendRaw(gateway[port], handshake(port, '/chat/x', authorization)),
      'upgrades_busy',
    );
    expect((await fetch(urlOn(gateway, port).replace('ws', 'http'), { headers: bearer(token) })).status).toBe(
      200,
    );
  });

  it('that fail give their place back', async () => {
    await using gateway = await startGateway({
      services: { '/chat': [refusedUrl()] },
      env: { MAX_UPGRADES: '1', CIRCUIT_BREAKER_THRESHOLD: '100' },
    });
    for (let n = 0; n < 3; n += 1) {
      const answer = await sendRaw(gateway[port], handshake(port, '/chat/x', authorization));
      await expectProblem(answer, 'upstream_unreachable');
      await eventually('the place is free', () => gateway.gateway.parts.limits.upgrades.held === 0);
    }
  });
});

describe('WebSockets on the external port', () => {
  it.each([
    ['no token', [], 'token_missing'],
    ['a bad token', ['Authorization: Bearer nonsense'], 'token_invalid'],
  ] as const)('are refused with %s by a real 401', async (_what, fields, code) => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    const answer = await sendRaw(gateway.external, handshake('external', '/chat/x', ...fields));
    await expectProblem(answer, code);
    expect(echo.handshakes).toHaveLength(0);
  });

  it('hold a permit of their service only for the handshake', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({
      services: { '/chat': [echo] },
      env: { PER_SERVICE_LIMIT: '1', GLOBAL_CONCURRENCY: '1' },
    });
    const sockets = [];
    for (let n = 0; n < 3; n += 1) sockets.push(await open(gateway, 'external'));
    expect(await gateway.metric('gateway_concurrent_requests')).toBe(0);
    for (const socket of sockets) socket.terminate();
  });

  it('are never taken from the cache, nor stored', async () => {
    await using echo = await startEcho();
    await using gateway = await startGateway({ services: { '/chat': [echo] } });
    for (let n = 0; n < 2; n += 1) (await open(gateway, 'external')).terminate();
    expect(echo.handshakes).toHaveLength(2);
  });
});
