import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { RawClient } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { credentials, type GatewayProcess, startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

/** `npm run test:crowd` makes it 5,000 and 10,000. */
const SOCKETS = Number(process.env.CROWD_SOCKETS ?? 250);
const SLOW_CLIENTS = Number(process.env.CROWD_SLOW_CLIENTS ?? 500);
/** So many come at a time: more than the backlog of a listener would be its limit, not the gateway's. */
const AT_A_TIME = 50;
const WITHIN_MS = 60_000 + (SOCKETS + SLOW_CLIENTS) * 20;
const HEADERS_TIMEOUT_MS = 5_000 + SLOW_CLIENTS;
/** Many times what a request takes on two cores that are busy. */
const OTHERS_WAIT_AT_MOST_MS = 2_000;
const MIB = 1024 ** 2;

function report(line: string): void {
  if (process.env.CROWD_SOCKETS) process.stderr.write(`${line}\n`);
}

const mebibytes = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;

/** What `make` makes so many times, not all at once. */
async function many<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < count) {
    const next = Math.min(AT_A_TIME, count - made.length);
    made.push(...(await Promise.all(Array.from({ length: next }, make))));
  }
  return made;
}

/** The slowest of `count` requests one after the other, each answered with 200. */
async function slowestOf(gateway: GatewayProcess, count: number): Promise<number> {
  let slowestMs = 0;
  for (let n = 0; n < count; n += 1) {
    const startedAtMs = performance.now();
    const answer = await fetch(gateway.url('external', `/up/x?n=${n}`), { headers: credentials('external') });
    expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
    slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
  }
  return slowestMs;
}

it(
  `${SOCKETS} open WebSockets all echo, others are served, and a drain ends each with 1001`,
  async () => {
    await using service = await startSocketService();
    await using upstream = await startUpstream();
    await using gateway = await startGatewayProcess({
      services: { '/chat': [service], '/up': [upstream] },
      env: {
        MAX_UPGRADES: String(SOCKETS),
        FAIR_SHARE: '1',
        PER_SERVICE_LIMIT: String(AT_A_TIME),
        DRAIN_TIMEOUT: '1s',
      },
    });
    const rssBefore = gateway.rssBytes();
    const url = gateway.url('external', '/chat/x').replace('http', 'ws');
    // One token: with several, their owner would count as several who ask, and have its fair share only.
    const headers = credentials('external');
    const sockets = await many(SOCKETS, async () => {
      const socket = new WebSocket(url, { headers });
      await once(socket, 'open');
      return socket;
    });
    expect(service.sockets.size).toBe(SOCKETS);
    const echoes = sockets.map((socket) => once(socket, 'message'));
    for (const [n, socket] of sockets.entries()) socket.send(String(n));
    expect((await Promise.all(echoes)).map(([data]) => String(data))).toEqual(
      sockets.map((_, n) => String(n)),
    );
    const slowestMs = await slowestOf(gateway, 20);
    expect(slowestMs).toBeLessThan(OTHERS_WAIT_AT_MOST_MS);
    report(
      `${SOCKETS} WebSockets: all echoed, ${mebibytes(gateway.rssBytes() - rssBefore)} more resident, ` +
        `the slowest of 20 other requests took ${Math.round(slowestMs)} ms`,
    );
    const closes = [...sockets, ...service.sockets].map((socket) => once(socket, 'close'));
    const startedAtMs = performance.now();
    const stopped = gateway.stop();
    const codes = (await Promise.all(closes)).map(([code]) => code);
    await stopped;
    report(`the drain ended them, and the process, in ${Math.round(performance.now() - startedAtMs)} ms`);
    expect(new Set(codes)).toEqual(new Set([1001]));
  },
  WITHIN_MS,
);

it(
  `${SLOW_CLIENTS} clients whose heads do not end are cut after HEADERS_TIMEOUT, and others do not notice`,
  async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGatewayProcess({
      services: { '/up': [upstream] },
      env: { HEADERS_TIMEOUT: `${HEADERS_TIMEOUT_MS}ms`, GET_CACHE_TTL: 'off' },
    });
    const rssBefore = gateway.rssBytes();
    const startedAtMs = performance.now();
    const slow = await many(SLOW_CLIENTS, async () => {
      const client = await RawClient.to(gateway.external);
      client.send('GET /up/x HTTP/1.1\r\nHost: h\r\nX-Drip: ');
      return client;
    });
    const openedMs = performance.now() - startedAtMs;
    const stillOpen = () => slow.filter(({ ending }) => ending === undefined);
    // All are at it at the same time, or this shows nothing.
    expect(stillOpen()).toHaveLength(SLOW_CLIENTS);
    const slowestMs = await slowestOf(gateway, 50);
    expect(slowestMs).toBeLessThan(OTHERS_WAIT_AT_MOST_MS);
    report(
      `${SLOW_CLIENTS} slow heads, opened in ${Math.round(openedMs)} ms: ` +
        `${mebibytes(gateway.rssBytes() - rssBefore)} more resident, ` +
        `the slowest of 50 other requests took ${Math.round(slowestMs)} ms`,
    );
    await eventually(
      'all are cut, though they drip',
      async () => {
        for (const client of stillOpen()) client.send('x');
        await sleep(500);
        return stillOpen().length === 0;
      },
      WITHIN_MS,
    );
    report(`all were cut ${Math.round(performance.now() - startedAtMs)} ms after the first had come`);
    expect(slow.every(({ received }) => received === '')).toBe(true);
    expect(await slowestOf(gateway, 5)).toBeLessThan(OTHERS_WAIT_AT_MOST_MS);
    // And nobody else's.
    expect(upstream.requests.length).toBe(55);
  },
  WITHIN_MS,
);
