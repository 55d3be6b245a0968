import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { failures, Load, statuses } from '../../support/clients/load.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import {
  type GatewayProcess,
  type GatewayProcessOptions,
  startGatewayProcess,
} from '../../support/gateway/gatewayProcess.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

// A process with five threads takes its time to start on a machine that may be busy.
jest.setTimeout(120_000);

const WORKERS = 4;
const WITHIN_MS = 60_000;
const END_ON_DEMAND = new URL('../../support/programs/endOnDemand.ts', import.meta.url).href;
const ADMIN_TOKEN = 'an-admin-token-that-is-long-enough-for-tests';

function startWorkers({ env, ...options }: GatewayProcessOptions): Promise<GatewayProcess> {
  return startGatewayProcess({
    ...options,
    env: { WORKERS: String(WORKERS), REQUEST_TIMEOUT: '30s', ...env },
  });
}

/** As many requests, each on a connection of its own: the kernel spreads them over the workers. */
function callAll(
  count: number,
  url: string | ((n: number) => string),
  options: Parameters<typeof call>[1] = {},
): Promise<CallResponse[]> {
  const urlOf = typeof url === 'string' ? () => url : url;
  return Promise.all(Array.from({ length: count }, (_, n) => call(urlOf(n), options)));
}

/** No two alike: the gateway would ask once for all. */
function distinct(url: string): (n: number) => string {
  return (n) => `${url}?${n}`;
}

/** One after another. */
async function callInTurn(
  count: number,
  url: string,
  options: Parameters<typeof call>[1] = {},
): Promise<CallResponse[]> {
  const answers: CallResponse[] = [];
  for (let i = 0; i < count; i += 1) answers.push(await call(url, options));
  return answers;
}

/** How many answers had each status. */
function byStatus(answers: readonly CallResponse[]): Record<number, number> {
  return statuses(answers.map(({ status }, n) => ({ n, status, ms: 0, startedAtMs: 0 })));
}

/** The sum of a metric's series that have these labels, as one scrape shows it. */
async function metric(gateway: GatewayProcess, name: string, labels = ''): Promise<number> {
  const { body } = await call(`${gateway.internal}/metrics`);
  const series = body
    .toString()
    .split('\n')
    .filter((line) => new RegExp(`^${name}[ {]`).test(line));
  return series
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** A service that holds each request until the test lets it go, and knows how many it had at a time. */
async function startGate() {
  const held: (() => void)[] = [];
  const inside = { now: 0, most: 0 };
  const gate = { isOpen: false };
  const upstream = await startUpstream((_req, res) => {
    inside.now += 1;
    inside.most = Math.max(inside.most, inside.now);
    held.push(() => {
      inside.now -= 1;
      res.end('ok');
    });
    if (gate.isOpen) release(1);
  });

  function release(count: number): void {
    for (const letGo of held.splice(0, count)) letGo();
  }

  return Object.assign(upstream, {
    inside,
    release,
    /** Holds nobody any more. */
    letAllGo() {
      gate.isOpen = true;
      release(held.length);
    },
  });
}

describe('four workers', () => {
  let gateway: GatewayProcess;
  let crowded: Awaited<ReturnType<typeof startGate>>;
  let cached: Upstream;
  let broken: Upstream;
  let threes: Upstream[];
  let version = 1;
  /** While it is set and not over, the service whose answers are cached waits for it. */
  let filling: ReturnType<typeof deferred<void>> | undefined;
  /** While it is set, the broken service answers with it. */
  let trial: ReturnType<typeof deferred<void>> | undefined;

  beforeAll(async () => {
    crowded = await startGate();
    cached = await startUpstream(async ({ method }, res) => {
      await filling?.promise;
      if (method === 'POST') version += 1;
      res.setHeader('Cache-Control', 'max-age=60').end(`version ${version}`);
    });
    broken = await startUpstream(async (_req, res) => {
      if (!trial) return void res.writeHead(500).end();
      await trial.promise;
      res.end('well again');
    });
    threes = await Promise.all([1, 2, 3].map(() => startUpstream()));
    gateway = await startWorkers({
      services: {
        '/crowded': { upstreams: [crowded], concurrency: 10 },
        '/cached': [cached],
        '/broken': [broken],
        '/threes': threes,
        '/userManagement': threes.slice(0, 1),
      },
      env: {
        ADMIN_TOKEN,
        GLOBAL_CONCURRENCY: '1000',
        PER_SERVICE_LIMIT: '1000',
        CONCURRENCY_QUEUE: '400',
        CIRCUIT_BREAKER_COOLDOWN: '5s',
        CIRCUIT_BREAKER_WINDOW: '1m',
        LOG_LEVEL: 'info',
      },
    });
  });

  afterAll(async () => {
    await gateway.stop();
    for (const upstream of [crowded, cached, broken, ...threes]) await upstream[Symbol.asyncDispose]();
  });

  it('are ready when all of them listen, and take connections in turn', async () => {
    expect(byStatus(await callAll(20, `${gateway.internal}/readyz`))).toEqual({ 200: 20 });
  });

  it('let 10 of 400 callers in at a time: never 11, and never fewer while callers wait', async () => {
    const calls = callAll(400, distinct(gateway.url('external', '/crowded/x')), {
      headers: bearer(tokenFor('ann')),
    });
    const held = () => metric(gateway, 'gateway_concurrent_requests', 'service="/crowded"');
    for (let turns = 0; turns < 20; turns += 1) {
      await eventually('ten are inside', () => crowded.inside.now === 10, WITHIN_MS);
      expect(await held()).toBe(10);
      crowded.release(1 + (turns % 10));
    }
    crowded.letAllGo();
    expect(byStatus(await calls)).toEqual({ 200: 400 });
    expect(crowded.inside.most).toBe(10);
    await eventually('all permits are back', async () => (await held()) === 0);
  });

  it('give ten sequential requests to three replicas 3, 4, 3 times', async () => {
    await callInTurn(10, gateway.url('internal', '/threes/x'));
    expect(threes.map(({ requests }) => requests.length).toSorted()).toEqual([3, 3, 4]);
  });

  it('count together: any of them shows all requests that were made', async () => {
    const made = threes.reduce((sum, { requests }) => sum + requests.length, 50);
    const shown = () => metric(gateway, 'gateway_requests_total', 'service="/threes"');
    await callAll(50, gateway.url('internal', '/threes/x'));
    await eventually('all are over', async () => (await shown()) === made);
    await eventually('all show it', async () => {
      const pages = await Promise.all(Array.from({ length: 8 }, shown));
      return pages.every((count) => count === made);
    });
    expect(await metric(gateway, 'gateway_request_duration_seconds_count', 'service="/threes"')).toBe(made);
    // Of the process, so not once for each thread.
    expect(await metric(gateway, 'process_start_time_seconds')).toBeLessThan(Date.now() / 1000);
  });

  it('open a breaker by failures that were spread over them, and make one trial among all', async () => {
    const url = gateway.url('internal', '/broken/x');
    expect((await callInTurn(3, url)).map(({ status }) => status)).toEqual([500, 500, 500]);
    expect(byStatus(await callAll(40, url))).toEqual({ 503: 40 });
    expect(broken.requests).toHaveLength(3);
    const trips = () => metric(gateway, 'gateway_circuit_breaker_trips_total', 'service="/broken"');
    await eventually('the trip is shown', async () => (await trips()) === 1);
    trial = deferred();
    await eventually(
      'the cooldown is over',
      async () => {
        return (await metric(gateway, 'gateway_circuit_breaker_state', 'service="/broken"')) === 2;
      },
      WITHIN_MS,
    );
    const asked = callAll(40, url);
    await eventually('39 are refused', async () => {
      const refused = await metric(gateway, 'gateway_circuit_breaker_rejected_total', 'service="/broken"');
      return refused === 79;
    });
    expect(broken.requests).toHaveLength(4);
    trial.resolve();
    expect(byStatus(await asked)).toEqual({ 200: 1, 503: 39 });
    expect(byStatus(await callAll(20, url))).toEqual({ 200: 20 });
  });

  it('refuse a token that was logged out at another, at once', async () => {
    const headers = bearer(tokenFor('leaver'));
    const url = gateway.url('external', '/threes/x');
    expect(byStatus(await callAll(40, url, { headers }))).toEqual({ 200: 40 });
    const out = await call(gateway.url('external', '/userManagement/auth/logout'), {
      method: 'POST',
      headers,
    });
    expect(out.status).toBe(200);
    expect(byStatus(await callAll(40, url, { headers }))).toEqual({ 401: 40 });
  });

  it('answer from one cache, and ask the service once for all who miss', async () => {
    const headers = bearer(tokenFor('reader'));
    const url = gateway.url('external', '/cached/one');
    filling = deferred();
    const asked = callAll(40, url, { headers });
    await eventually('all have come', async () => {
      return (await metric(gateway, 'gateway_concurrent_requests', 'service="/cached"')) === 40;
    });
    filling.resolve();
    const answers = await asked;
    expect(new Set(answers.map(({ body }) => body.toString()))).toEqual(new Set(['version 1']));
    expect(cached.requests).toHaveLength(1);
    const hits = await callAll(40, url, { headers });
    expect(hits.every(({ headers: fields }) => String(fields['cache-status']).includes('hit'))).toBe(true);
    expect(cached.requests).toHaveLength(1);
  });

  it('forget together what was changed, and what was purged', async () => {
    const headers = bearer(tokenFor('writer'));
    const url = gateway.url('external', '/cached/two');
    const seen = async () =>
      new Set((await callAll(40, url, { headers })).map(({ body }) => body.toString()));
    expect(await seen()).toEqual(new Set([`version ${version}`]));
    await call(url, { method: 'POST', headers });
    await eventually('all see the change', async () => {
      return (await seen()).isSubsetOf(new Set([`version ${version}`]));
    });
    version += 1;
    const admin = { method: 'POST', headers: { ...bearer(ADMIN_TOKEN), 'content-type': 'application/json' } };
    const body = JSON.stringify({ service: '/cached' });
    expect((await call(`${gateway.internal}/admin/cache/purge`, { ...admin, body })).status).toBeLessThan(
      300,
    );
    await eventually('all see what is new', async () => {
      return (await seen()).isSubsetOf(new Set([`version ${version}`]));
    });
  });
});

describe('workers', () => {
  it('hold a rate limit exactly, with the embedded store', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startWorkers({
      services: { '/up': [upstream] },
      env: { RATE_LIMIT_PER_ADDRESS: '20/1h', PER_SERVICE_LIMIT: '100' },
    });
    const answers = await callAll(60, distinct(gateway.url('external', '/up/x')), {
      headers: bearer(tokenFor('ann')),
    });
    expect(byStatus(answers)).toEqual({ 200: 20, 429: 40 });
  });

  it('hold MAX_CONNECTIONS together', async () => {
    await using upstream = await startUpstream((_req, res) => void setTimeout(() => res.end('ok'), 500));
    await using gateway = await startWorkers({
      services: { '/up': [upstream] },
      env: { MAX_CONNECTIONS: '10' },
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => call(gateway.url('internal', '/up/x'))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  });

  it('hold MAX_UPGRADES together', async () => {
    await using service = await startSocketService();
    await using gateway = await startWorkers({
      services: { '/socket': [service] },
      env: { MAX_UPGRADES: '5', FAIR_SHARE: '1' },
    });
    const url = `${gateway.internal.replace('http', 'ws')}/internal/socket/x`;
    const sockets = Array.from({ length: 20 }, () => new WebSocket(url));
    const opened = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<boolean>((resolve) => {
            socket.once('open', () => resolve(true)).once('error', () => resolve(false));
          }),
      ),
    );
    expect(opened.filter(Boolean)).toHaveLength(5);
    for (const socket of sockets) socket.terminate();
    await eventually('there is room again', async () => {
      const socket = new WebSocket(url);
      return new Promise<boolean>((resolve) => {
        socket.once('open', () => resolve(true)).once('error', () => resolve(false));
      }).finally(() => socket.terminate());
    });
  });

  it('have one registry client', async () => {
    await using registry = await startRegistry();
    await using upstream = await startUpstream();
    registry.list('b1', upstream);
    await using gateway = await startWorkers({
      services: { '/budgeting': [] },
      env: { SERVICE_DISCOVERY_URL: registry.url, SERVICE_REFRESH_INTERVAL: '1h' },
    });
    await eventually('it is ready', async () => (await call(`${gateway.internal}/readyz`)).status === 200);
    expect(byStatus(await callAll(40, gateway.url('internal', '/budgeting/x')))).toEqual({ 200: 40 });
    await eventually(
      'all are told',
      () => registry.replicas.list().find(({ host }) => host === 'b1')?.request_count === 40,
    );
    expect(registry.count('GET', '/services')).toBe(1);
  });

  it('do not share a port with somebody else, and say which it is', async () => {
    await using stranger = await startUpstream();
    await using run = runGateway({
      services: { '/up': [stranger] },
      env: { WORKERS: String(WORKERS), EXTERNAL_PORT: stranger.url.port },
    });
    expect(await run.exited).toEqual({ exitCode: 1, signal: null });
    expect(run.stderr()).toBe(
      `EXTERNAL_PORT is "${stranger.url.port}", but something else listens there: stop it, or set another port\n`,
    );
  });

  it('that cannot begin end the process, with the reason', async () => {
    await using upstream = await startUpstream();
    await using run = runGateway({
      services: { '/up': [upstream] },
      env: { WORKERS: '2', DATA_DIR: '/dev/null/nowhere' },
    });
    expect(await run.exited).toEqual({ exitCode: 1, signal: null });
    expect(run.stderr()).toContain('Make the directory writable or set DATA_DIR to another one');
  });

  it('switch their log level together', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startWorkers({ services: { '/up': [upstream] } });
    const lines: string[] = [];
    gateway.child.stdout?.on('data', (chunk) => lines.push(...String(chunk).split('\n')));
    process.kill(gateway.pid, 'SIGUSR2');
    await eventually('it says so', () => lines.some((line) => line.includes('Log level is now debug')));
    process.kill(gateway.pid, 'SIGTERM');
    await once(gateway.child, 'exit');
    expect(lines.filter((line) => line.includes('"debug"') && line.includes('"Drained"'))).toHaveLength(
      WORKERS,
    );
  });

  it('drain together: every request that was begun is answered', async () => {
    await using upstream = await startUpstream((_req, res) => void setTimeout(() => res.end('ok'), 100));
    const gateway = await startWorkers({
      services: { '/up': [upstream] },
      env: { DRAIN_TIMEOUT: '20s', DRAIN_GRACE: '1s' },
    });
    const load = new Load({ origin: gateway.internal, target: (n) => `/internal/up/${n}`, connections: 40 });
    await load.more(80);
    const stopped = gateway.stop();
    await eventually('it drains', async () => {
      return call(`${gateway.internal}/readyz`).then(
        ({ status }) => status === 503,
        () => true,
      );
    });
    const outcomes = await load.stop();
    await stopped;
    // Who comes after the ports are closed is refused a connection, and that alone.
    expect(failures(outcomes).filter((failure) => !failure.includes('ECONNREFUSED'))).toEqual([]);
  });
});

describe('a worker that ends by itself', () => {
  it.each([
    { how: 'an error that nobody caught', file: 'throw-now' },
    { how: 'an exit in the middle of its requests', file: 'exit-now' },
  ])('by $how is replaced, and no permit is lost', async ({ file }) => {
    const directory = mkdtempSync(join(tmpdir(), 'gateway-workers-'));
    await using crowded = await startGate();
    await using gateway = await startWorkers({
      services: { '/up': { upstreams: [crowded], concurrency: 10 } },
      env: { CONCURRENCY_QUEUE: '1000', DATA_DIR: directory, DRAIN_TIMEOUT: '30s' },
      execArgv: ['--import', END_ON_DEMAND],
    });
    const url = distinct(gateway.url('external', '/up/x'));
    const options = { headers: bearer(tokenFor('ann')) };
    const called = Promise.allSettled(Array.from({ length: 200 }, (_, n) => call(url(n), options)));
    await eventually('the service is full', () => crowded.inside.now === 10, WITHIN_MS);
    writeFileSync(join(directory, file), '');
    await eventually('one is ending', () => existsSync(join(directory, `${file}.taken`)));
    crowded.letAllGo();
    const outcomes = await called;
    const answers = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
    const failed = outcomes.length - answers.length;
    expect(byStatus(answers)).toEqual({ 200: answers.length });
    // One that throws answers what it has; one that is gone leaves its connections to break.
    if (file === 'throw-now') expect(failed).toBe(0);
    else expect(failed).toBeGreaterThan(0);
    const isReady = async () => (await call(`${gateway.internal}/readyz`)).status === 200;
    await eventually('it is replaced', isReady, WITHIN_MS);
    const inUse = async () =>
      (await metric(gateway, 'gateway_concurrent_requests', 'service="/up"')) +
      (await metric(gateway, 'gateway_lb_instance_in_flight', 'service="/up"'));
    await eventually('everything is given back', async () => (await inUse()) === 0);
    const again = distinct(gateway.url('external', '/up/again'));
    expect(byStatus(await callAll(100, again, options))).toEqual({ 200: 100 });
    expect(crowded.inside.most).toBe(10);
    expect(await metric(gateway, 'gateway_uncaught_errors_total')).toBe(1);
    // What is shown may be so old.
    await sleep(2_000);
    // What it had counted is still there, unless it had no time to say so.
    const counted = await metric(gateway, 'gateway_requests_total', 'service="/up"');
    if (file === 'throw-now') expect(counted).toBe(300);
    else expect(counted).toBeLessThan(300);
    rmSync(directory, { recursive: true, force: true });
  });
});
