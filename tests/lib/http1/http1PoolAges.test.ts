import type { LookupFunction } from 'node:net';
import { setImmediate as afterTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Pool, type PoolOptions } from '../../../lib/http1/pool.ts';
import { sendOver } from '../../support/clients/http1.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  type hangs,
  says,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const KEPT_LONG = OK.replace('\r\n', '\r\nKeep-Alive: timeout=3600\r\n');
const MAX_AGE_MS = 30_000;

const clock = new ManualClock();
const pools: Pool[] = [];

function poolTo(url: URL, options: Partial<PoolOptions> = {}): Pool {
  const pool = new Pool({ url, clock, connectTimeoutMs: 5_000, maxAgeMs: MAX_AGE_MS, ...options });
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.destroy();
  expect(clock.pending).toBe(0);
});

/** The same origin by a name, `service.test`, that `addresses` answers one after another. */
function named({ url }: Upstream, addresses: () => string): Pick<PoolOptions, 'url' | 'lookup'> {
  const lookup: LookupFunction = (_name, options, done) => {
    const address = addresses();
    if (options.all) done(null, [{ address, family: 4 }]);
    else done(null, address, 4);
  };
  return { url: new URL(`http://service.test:${url.port}`), lookup };
}

const connectionsOf = ({ requests }: Upstream) => requests.map(({ connection }) => connection);

async function ask(pool: Pool, method = 'GET') {
  await sendOver(pool, { method });
  await afterTurn();
}

describe('connections to a name', () => {
  it('follow it under steady traffic, within their age', async () => {
    await using before = await startUpstream((_req, res) => void res.end('before'), { host: '127.0.0.1' });
    const { port } = before.url;
    await using after = await startUpstream((_req, res) => void res.end('after'), {
      host: '127.0.0.2',
      port: Number(port),
    });
    let address = '127.0.0.1';
    const { url, lookup } = named(before, () => address);
    const pool = poolTo(url, { lookup });
    await ask(pool);
    address = '127.0.0.2';
    const answeredBy: string[] = [];
    for (let second = 0; second < 40; second += 1) {
      answeredBy.push((await sendOver(pool)).content);
      await afterTurn();
      clock.advance(1_000);
    }
    expect(answeredBy.indexOf('after')).toBeLessThanOrEqual(MAX_AGE_MS / 1_000 + 1);
    expect(answeredBy.lastIndexOf('before')).toBeLessThan(answeredBy.indexOf('after'));
    expect(after.requests.length).toBeGreaterThan(0);
  });

  it('finish the request that they carry, and end behind it', async () => {
    const sockets: Parameters<typeof hangs>[0][] = [];
    await using upstream = await startRawUpstream((socket) => void sockets.push(socket));
    const { url, lookup } = named(upstream, () => '127.0.0.1');
    const pool = poolTo(url, { lookup });
    const answer = sendOver(pool);
    await eventually('it is asked', () => sockets.length === 1);
    clock.advance(10 * MAX_AGE_MS);
    sockets[0]?.write(KEPT_LONG);
    expect((await answer).content).toBe('ok');
    await eventually('it is closed', () => upstream.open === 0);
  });

  it('end when they are idle, too', async () => {
    await using upstream = await startRawUpstream(says(KEPT_LONG));
    const { url, lookup } = named(upstream, () => '127.0.0.1');
    const pool = poolTo(url, { lookup });
    await ask(pool);
    clock.advance(MAX_AGE_MS - 1);
    expect(upstream.open).toBe(1);
    clock.advance(1);
    await eventually('it is closed', () => upstream.open === 0);
  });

  it.each([0, undefined])('stay with an age of %p', async (maxAgeMs) => {
    await using upstream = await startRawUpstream(says(KEPT_LONG));
    const { url, lookup } = named(upstream, () => '127.0.0.1');
    const pool = new Pool({
      url,
      lookup: lookup as LookupFunction,
      clock,
      connectTimeoutMs: 5_000,
      ...(maxAgeMs === 0 ? { maxAgeMs } : {}),
    });
    pools.push(pool);
    await ask(pool);
    clock.advance(500_000);
    await ask(pool);
    expect(connectionsOf(upstream)).toEqual([1, 1]);
  });
});

it('connections to an address have no age', async () => {
  await using upstream = await startRawUpstream(says(KEPT_LONG));
  const pool = poolTo(upstream.url);
  await ask(pool);
  clock.advance(500_000);
  await ask(pool);
  expect(connectionsOf(upstream)).toEqual([1, 1]);
});

describe('a connection that has been idle for more than a second', () => {
  it.each([
    { method: 'POST', hint: OK, connections: [1, 2], does: 'carries no' },
    { method: 'DELETE', hint: OK, connections: [1, 2], does: 'carries no' },
    { method: 'GET', hint: OK, connections: [1, 1], does: 'carries a' },
    { method: 'HEAD', hint: OK, connections: [1, 1], does: 'carries a' },
    {
      method: 'POST',
      hint: KEPT_LONG,
      connections: [1, 1],
      does: 'whose origin said how long it keeps it carries a',
    },
  ])('$does $method', async ({ method, hint, connections }) => {
    await using upstream = await startRawUpstream((socket, head) => {
      socket.write(head.startsWith('HEAD') ? hint.replace(/ok$/, '') : hint);
    });
    const pool = poolTo(upstream.url);
    await ask(pool);
    clock.advance(1_001);
    await ask(pool, method);
    expect(connectionsOf(upstream)).toEqual(connections);
  });

  it('is not waited for by a POST, and is there for the next GET', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await ask(pool);
    clock.advance(1_001);
    await Promise.all([ask(pool, 'POST'), ask(pool)]);
    expect(new Set(connectionsOf(upstream)).size).toBe(2);
  });

  it('is used by a POST after less than a second', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await ask(pool);
    clock.advance(1_000);
    await ask(pool, 'POST');
    expect(connectionsOf(upstream)).toEqual([1, 1]);
  });
});

it('an idle connection is kept as long as the options say when the origin says nothing', async () => {
  await using upstream = await startRawUpstream(says(OK));
  const pool = poolTo(upstream.url, { idleMs: 20_000 });
  await ask(pool);
  clock.advance(19_999);
  await afterTurn();
  expect(upstream.open).toBe(1);
  clock.advance(1);
  await eventually('it is closed', () => upstream.open === 0);
});
