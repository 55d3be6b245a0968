import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { failures, Load } from '../support/clients/load.ts';
import { eventually } from '../support/eventually.ts';
import { Fleet } from '../support/gateway/fleet.ts';
import { credentials, PORTS, type Port } from '../support/gateway/gatewayProcess.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

/** `RESTARTS=20 npm run test:rolling` for more. */
const RESTARTS = Number(process.env.RESTARTS ?? 2);
const WITHIN_MS = 120_000 + RESTARTS * 60_000;

const SETTINGS = {
  GLOBAL_CONCURRENCY: '1000',
  PER_SERVICE_LIMIT: '1000',
  GET_CACHE_TTL: 'off',
  // Nobody is to run out of time because the machine is busy.
  REQUEST_TIMEOUT: '30s',
  DRAIN_TIMEOUT: '30s',
};

/** Whether the kernel hands connections that nobody has accepted to another listener; otherwise it resets them. */
const MIGRATES = readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'utf8').trim() === '1';

function startEcho() {
  return startUpstream((req, res) => void req.pipe(res), { readsBody: false });
}

/** 50 clients of that port. */
function mixedLoad(fleet: Fleet, port: Port): Load[] {
  const common = { origin: fleet[port], headers: credentials(port), pauseMs: 20 };
  const path = port === 'external' ? '/budgeting' : '/internal/budgeting';
  const echoes = (n: number) => 'x'.repeat((n % 50) * 1_000);
  return [
    new Load({ ...common, target: (n) => `${path}/x?n=${n}`, connections: 20 }),
    new Load({ ...common, target: () => `${path}/x`, method: 'POST', echoes, connections: 15 }),
    // Idle most of the time, as the connections of people are.
    new Load({ ...common, target: () => `${path}/x`, connections: 10, pauseMs: 500 }),
    // Where the kernel resets them, some of these may be lost, whatever the gateway does.
    new Load({ ...common, target: () => `${path}/x`, connections: 5, keepAlive: !MIGRATES }),
  ];
}

describe('two gateways on the same ports, restarted in turn', () => {
  it(
    `fail none of the requests of 100 clients in ${RESTARTS} restarts`,
    async () => {
      await using echo = await startEcho();
      await using fleet = await Fleet.start(2, { services: { '/budgeting': [echo] }, env: SETTINGS });
      await using stack = new AsyncDisposableStack();
      const loads = PORTS.flatMap((port) => mixedLoad(fleet, port)).map((load) => stack.use(load));
      for (let restart = 0; restart < RESTARTS; restart += 1) {
        await Promise.all(loads.map((load) => load.more(20)));
        await fleet.restartOldest();
      }
      await Promise.all(loads.map((load) => load.more(20)));
      const outcomes = (await Promise.all(loads.map((load) => load.stop()))).flat();
      expect(outcomes.length).toBeGreaterThan(loads.length * 20 * (RESTARTS + 1));
      expect(failures(outcomes)).toEqual([]);
    },
    WITHIN_MS,
  );

  it(
    'end their WebSockets within DRAIN_TIMEOUT, and clients that come back find the other one',
    async () => {
      await using service = await startSocketService();
      const env = { ...SETTINGS, DRAIN_TIMEOUT: '1s' };
      await using fleet = await Fleet.start(2, { services: { '/chat': [service] }, env });
      const url = `${fleet.internal.replace('http', 'ws')}/internal/chat/x`;
      const clients = Array.from({ length: 20 }, () => new Chatter(url));
      await eventually('all are connected', () => clients.every(({ isOpen }) => isOpen));
      // Both gateways end once, and with them every connection there was.
      for (let restart = 0; restart < 2; restart += 1) await fleet.restartOldest();
      await eventually('all have come back', () =>
        clients.every(({ isOpen, returns }) => isOpen && returns > 0),
      );
      for (const client of clients) expect(await client.echo('still there')).toBe('still there');
      expect(clients.flatMap(({ refusals }) => refusals)).toEqual([]);
      for (const client of clients) client.leave();
    },
    WITHIN_MS,
  );

  it(
    'of which one is killed: only what was under way there fails',
    async () => {
      await using echo = await startEcho();
      await using fleet = await Fleet.start(2, { services: { '/budgeting': [echo] }, env: SETTINGS });
      await using load = new Load({
        origin: fleet.internal,
        target: () => '/internal/budgeting/x',
        method: 'POST',
        echoes: (n) => `request ${n}`,
        connections: 40,
      });
      await load.more(200);
      await fleet.killOldest();
      const startedBefore = load.started;
      await load.more(1_000);
      await fleet.add();
      await load.more(1_000);
      const failed = (await load.stop()).filter(({ status }) => status !== 200);
      expect(failed.length).toBeGreaterThan(0);
      // One request is under way on each connection, and some of them are the other gateway's.
      expect(failed.length).toBeLessThan(40);
      expect(failed.filter(({ n }) => n >= startedBefore)).toEqual([]);
      expect(failed.filter(({ status }) => status !== 0)).toEqual([]);
    },
    WITHIN_MS,
  );
});

/** A client that connects again whenever its WebSocket ends. */
class Chatter {
  returns = 0;
  /** Why it could not connect. */
  readonly refusals: string[] = [];
  readonly #url: string;
  #socket: WebSocket;
  #leaves = false;

  constructor(url: string) {
    this.#url = url;
    this.#socket = this.#connect();
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  echo(text: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#socket.once('message', (data) => resolve(String(data)));
    this.#socket.send(text);
    return promise;
  }

  leave(): void {
    this.#leaves = true;
    this.#socket.terminate();
  }

  #connect(): WebSocket {
    const socket = new WebSocket(this.#url);
    let hasOpened = false;
    socket.once('open', () => {
      hasOpened = true;
    });
    socket.on('error', (error) => {
      if (!hasOpened) this.refusals.push(String(error));
    });
    socket.once('close', () => {
      if (this.#leaves || !hasOpened) return;
      this.returns += 1;
      this.#socket = this.#connect();
    });
    return socket;
  }
}
