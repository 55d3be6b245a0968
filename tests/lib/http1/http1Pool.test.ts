import { Readable } from 'node:stream';
import { setImmediate as afterTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  BrokenResponseError,
  ConnectionLostError,
  ConnectTimeoutError,
  PoolDestroyedError,
} from '../../../lib/http1/errors.ts';
import type { Controller } from '../../../lib/http1/handler.ts';
import { Pool } from '../../../lib/http1/pool.ts';
import { sendOver } from '../../support/clients/http1.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  resets,
  says,
  saysAndCloses,
  saysAndResets,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CONNECT_TIMEOUT_MS = 5_000;

const clock = new ManualClock();
const pools: Pool[] = [];

function poolTo(url: URL): Pool {
  const pool = new Pool({ url, clock, connectTimeoutMs: CONNECT_TIMEOUT_MS });
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.destroy();
  expect(clock.pending).toBe(0);
});

const connectionsOf = ({ requests }: Upstream) => requests.map(({ connection }) => connection);
const failure = (answer: Promise<unknown>) =>
  answer.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('connections', () => {
  it('are kept for later requests, one request at a time', async () => {
    const held: Parameters<RawBehaviour>[0][] = [];
    await using upstream = await startRawUpstream((socket) => void held.push(socket));
    const pool = poolTo(upstream.url);
    const answers = [1, 2, 3].map(() => sendOver(pool));
    await eventually('all are asked', () => held.length === 3);
    expect(connectionsOf(upstream)).toEqual([1, 2, 3]);
    for (const socket of held) socket.write(OK);
    await Promise.all(answers);
    const later = [sendOver(pool), sendOver(pool)];
    await eventually('both are asked', () => held.length === 5);
    expect(upstream.open).toBe(3);
    for (const socket of held.slice(3)) socket.write(OK);
    await Promise.all(later);
    expect(upstream.open).toBe(3);
  });

  it('that were used last are used first', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await Promise.all([sendOver(pool), sendOver(pool)]);
    for (let i = 0; i < 4; i += 1) {
      // One is fit again when a whole turn has passed.
      await afterTurn();
      await sendOver(pool);
    }
    const [last] = connectionsOf(upstream).slice(2);
    expect(connectionsOf(upstream).slice(2)).toEqual([last, last, last, last]);
  });

  it('serve hundreds of requests at once, each with its own response', async () => {
    await using upstream = await startUpstream((req, res) => void res.end(`${req.url} ${'x'.repeat(500)}`));
    const pool = poolTo(upstream.url);
    for (let round = 0; round < 3; round += 1) {
      const paths = Array.from({ length: 150 }, (_, n) => `/${round}/${n}`);
      const answers = await Promise.all(paths.map((path) => sendOver(pool, { path })));
      expect(answers.map(({ content }) => content.split(' ')[0])).toEqual(paths);
    }
    expect(upstream.open).toBeLessThanOrEqual(150);
  });

  it('are closed when they have been idle for four seconds', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    await afterTurn();
    clock.advance(3_999);
    await afterTurn();
    expect(upstream.open).toBe(1);
    clock.advance(1);
    await eventually('it is closed', () => upstream.open === 0);
    await sendOver(pool);
    expect(connectionsOf(upstream)).toEqual([1, 2]);
  });

  it.each([
    ['timeout=10, max=5', 8_000],
    ['TIMEOUT=60', 58_000],
    ['max=7', 4_000],
    ['timeout=99999', 600_000],
  ])('are kept as long as "Keep-Alive: %s" lets them, and no longer than %s ms', async (hint, idleMs) => {
    await using upstream = await startRawUpstream(says(OK.replace('\r\n', `\r\nKeep-Alive: ${hint}\r\n`)));
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    await afterTurn();
    clock.advance(idleMs - 1);
    await sendOver(pool);
    await afterTurn();
    clock.advance(idleMs);
    await eventually('it is closed', () => upstream.open === 0);
    expect(connectionsOf(upstream)).toEqual([1, 1]);
  });

  it.each(['timeout=2', 'timeout=0'])('are not kept when "Keep-Alive: %s" leaves no time', async (hint) => {
    await using upstream = await startRawUpstream(says(OK.replace('\r\n', `\r\nKeep-Alive: ${hint}\r\n`)));
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    await sendOver(pool);
    expect(connectionsOf(upstream)).toEqual([1, 2]);
  });

  it.each([
    ['Connection: close', OK.replace('\r\n', '\r\nConnection: close\r\n'), 'GET'],
    ['HTTP/1.0', OK.replace('1.1', '1.0'), 'GET'],
    ['an interim one that closes', `HTTP/1.1 103 H\r\nConnection: close\r\n\r\n${OK}`, 'GET'],
    ['to HEAD', OK.replace('ok', ''), 'HEAD'],
    ['bytes behind it', `${OK}more`, 'GET'],
  ])('end with a response: %s', async (_what, bytes, method) => {
    await using upstream = await startRawUpstream(says(bytes));
    const pool = poolTo(upstream.url);
    await sendOver(pool, { method });
    await eventually('it is closed', () => upstream.open === 0);
    await sendOver(pool, { method });
    expect(connectionsOf(upstream)).toEqual([1, 2]);
  });

  it('that get a response nobody asked for are given no request', async () => {
    const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    await using upstream = await startRawUpstream((socket) => {
      socket.write(OK, () => void socket.write(EVIL));
    });
    const pool = poolTo(upstream.url);
    for (let i = 0; i < 10; i += 1) {
      expect((await sendOver(pool)).content).toBe('ok');
      await eventually('it is closed', () => upstream.open === 0);
    }
  });

  it('may be one of their own', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    await sendOver(pool, {}, { afresh: true });
    expect(connectionsOf(upstream)).toEqual([1, 2]);
  });

  it('reach an IPv6 address', async () => {
    await using upstream = await startUpstream(undefined, { host: '::1' });
    expect((await sendOver(poolTo(upstream.url))).content).toBe('ok');
    expect(upstream.requests[0]?.fields).toContain(upstream.url.host);
  });

  it('reach a name', async () => {
    await using upstream = await startUpstream();
    const pool = poolTo(new URL(`http://localhost:${upstream.url.port}`));
    expect((await sendOver(pool)).content).toBe('ok');
  });

  it('go to http and https only', () => {
    expect(() => poolTo(new URL('ftp://a'))).toThrow('url must be http: or https:, got ftp://a/');
  });
});

describe('failures', () => {
  it('a refused connection', async () => {
    let started = false;
    const onStart = () => {
      started = true;
    };
    const answer = sendOver(poolTo(refusedUrl()), {}, { onStart });
    expect(await failure(answer)).toMatchObject({ code: 'ECONNREFUSED' });
    expect(started).toBe(false);
  });

  it('a name that has several addresses, all of which refuse, by a message that says so', async () => {
    const { port } = refusedUrl();
    const error = (await failure(sendOver(poolTo(new URL(`http://localhost:${port}`))))) as Error;
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('a name that nobody knows', async () => {
    expect(await failure(sendOver(poolTo(new URL('http://no-such-host.invalid'))))).toMatchObject({
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });

  it('a connection that does not open in time', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const answer = failure(sendOver(poolTo(upstream.url)));
    clock.advance(CONNECT_TIMEOUT_MS);
    const error = await answer;
    expect(error).toBeInstanceOf(ConnectTimeoutError);
    expect((error as Error).message).toBe(`no connection to ${upstream.url.host} within 5000 ms`);
    expect(upstream.requests).toEqual([]);
  });

  const lost: readonly [what: string, RawBehaviour, code: string][] = [
    ['a close without a word', saysAndCloses(''), 'connection_closed'],
    ['a close within the head', saysAndCloses('HTTP/1.1 2'), 'connection_closed'],
    ['a reset', resets, 'ECONNRESET'],
    ['a reset within the head', saysAndResets('HTTP/1.1 2'), 'ECONNRESET'],
    [
      'a reset within the content',
      saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'),
      'ECONNRESET',
    ],
    ['a reset of an answer without length', saysAndResets('HTTP/1.1 200 OK\r\n\r\nok'), 'ECONNRESET'],
  ];

  it.each(lost)('%s, on a new connection', async (_what, behaviour, code) => {
    await using upstream = await startRawUpstream(behaviour);
    const error = await failure(sendOver(poolTo(upstream.url)));
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect(error).toMatchObject({ code, kept: false });
  });

  it.each(lost)('%s, on a kept one', async (_what, behaviour, code) => {
    let asked = 0;
    await using upstream = await startRawUpstream((socket, head) => {
      if (++asked === 1) socket.write(OK);
      else behaviour(socket, head);
    });
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    expect(await failure(sendOver(pool))).toMatchObject({ code, kept: true });
    expect(connectionsOf(upstream)).toEqual([1, 1]);
  });

  it('a close within the content', async () => {
    await using upstream = await startRawUpstream(
      saysAndCloses('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'),
    );
    const error = await failure(sendOver(poolTo(upstream.url)));
    expect(error).toBeInstanceOf(BrokenResponseError);
    expect(error).toMatchObject({ code: 'cut_short' });
  });

  it('a broken response ends the connection, behind what was good of it', async () => {
    await using upstream = await startRawUpstream(
      says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n'),
    );
    const seen: string[] = [];
    const answer = sendOver(
      poolTo(upstream.url),
      {},
      { onData: (_, chunk) => void seen.push(String(chunk)) },
    );
    expect(await failure(answer)).toMatchObject({ code: 'bad_chunk' });
    expect(seen).toEqual(['ok']);
    await eventually('it is closed', () => upstream.open === 0);
  });

  it('a fault behind good content, which the handler may still pass on', async () => {
    await using upstream = await startRawUpstream(
      says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n'),
    );
    const told: string[] = [];
    const answer = sendOver(
      poolTo(upstream.url),
      {},
      { onData: () => void told.push('data'), onPause: () => void told.push('pause') },
    );
    await answer.catch(() => told.push('error'));
    expect(told).toEqual(['data', 'pause', 'error']);
  });

  it('what a handler throws', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    const thrown = new Error('no');
    const throws = () => {
      throw thrown;
    };
    expect(await failure(sendOver(pool, {}, { onStart: throws }))).toBe(thrown);
    expect(await failure(sendOver(pool, {}, { onHead: throws }))).toBe(thrown);
    expect(await failure(sendOver(pool, {}, { onData: throws }))).toBe(thrown);
    await using begins = await startRawUpstream(says('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'));
    expect(await failure(sendOver(poolTo(begins.url), {}, { onPause: throws }))).toBe(thrown);
    await eventually('all are closed', () => upstream.open === 0);
    expect((await sendOver(pool)).status).toBe(200);
  });
});

it('tells of a pause only when a response that has begun to come is not over', async () => {
  await using upstream = await startRawUpstream((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab', () => {
      eventually('the pause', () => told.includes('pause')).then(() => socket.write('cd'));
    });
  });
  const told: string[] = [];
  const watch = {
    onHead: () => void told.push('head'),
    onData: (_: Controller, chunk: Buffer) => void told.push(String(chunk)),
    onPause: () => void told.push('pause'),
  };
  await sendOver(poolTo(upstream.url), {}, watch);
  expect(told).toEqual(['head', 'ab', 'pause', 'cd']);
});

describe('abort', () => {
  const reason = new Error('enough');

  it('at the start sends nothing', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const answer = sendOver(poolTo(upstream.url), {}, { onStart: (controller) => controller.abort(reason) });
    expect(await failure(answer)).toBe(reason);
    await eventually('it is closed', () => upstream.open === 0);
    expect(upstream.requests).toEqual([]);
  });

  it('while waiting for a response closes the connection', async () => {
    await using upstream = await startRawUpstream(hangs);
    const begun = deferred<Controller>();
    const answer = failure(sendOver(poolTo(upstream.url), {}, { onStart: begun.resolve }));
    await eventually('it is asked', () => upstream.requests.length === 1);
    const controller = await begun.promise;
    controller.abort(reason);
    controller.abort(new Error('once more'));
    expect(await answer).toBe(reason);
    expect(controller.aborted).toBe(true);
    await eventually('it is closed', () => upstream.open === 0);
  });

  it('within a response tells no more of it', async () => {
    await using upstream = await startRawUpstream(
      says(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n${'a'.repeat(4096)}\r\n1\r\nb\r\n0\r\n\r\n`,
      ),
    );
    let seen = '';
    const answer = sendOver(
      poolTo(upstream.url),
      {},
      {
        onData(controller, chunk) {
          seen += chunk;
          controller.abort(reason);
        },
      },
    );
    expect(await failure(answer)).toBe(reason);
    expect(seen).toBe('a'.repeat(4096));
  });

  it('behind the end does nothing to the request that follows', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    const controllers: Controller[] = [];
    await sendOver(pool, {}, { onStart: (controller) => void controllers.push(controller) });
    const second = sendOver(pool, {}, { onStart: () => controllers[0]?.abort(reason) });
    expect((await second).content).toBe('ok');
    expect(connectionsOf(upstream)).toEqual([1, 1]);
  });
});

describe('back-pressure', () => {
  const MEBIBYTE = 2 ** 20;
  const MUCH_BYTES = 64 * MEBIBYTE;
  const PIECE = Buffer.alloc(64 * 1024, 'x');

  it('reads no more of a response than its handler wants', async () => {
    let sentBytes = 0;
    await using upstream = await startRawUpstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MUCH_BYTES}\r\n\r\n`);
      const pour = () => {
        while (sentBytes < MUCH_BYTES) {
          sentBytes += PIECE.length;
          if (!socket.write(PIECE)) return;
        }
      };
      socket.on('drain', pour);
      pour();
    });
    let readBytes = 0;
    let stalled = 0;
    const answer = sendOver(
      poolTo(upstream.url),
      {},
      {
        keepsContent: false,
        onData(controller, chunk) {
          readBytes += chunk.length;
          if (readBytes < stalled * 8 * MEBIBYTE) return;
          stalled += 1;
          controller.pause();
          const readSoFar = readBytes;
          setTimeout(() => {
            // Nothing came while it was paused, and the rest waits in the origin.
            expect(readBytes).toBe(readSoFar);
            expect(sentBytes).toBeLessThan(readBytes + 16 * MEBIBYTE);
            controller.resume();
          }, 30);
        },
      },
    );
    await answer;
    expect(readBytes).toBe(MUCH_BYTES);
    expect(stalled).toBe(9);
  });

  it('takes no more of the content than the origin reads', async () => {
    let made = 0;
    const body = new Readable({
      read() {
        made += PIECE.length;
        this.push(made > MUCH_BYTES ? null : PIECE);
      },
    });
    let received = 0;
    const paused = deferred<Parameters<RawBehaviour>[0]>();
    await using upstream = await startRawUpstream((socket) => {
      socket.pause();
      paused.resolve(socket);
    });
    const answer = sendOver(poolTo(upstream.url), {
      method: 'POST',
      headers: ['Content-Length', String(MUCH_BYTES)],
      body,
    });
    const socket = await paused.promise;
    let before = -1;
    await eventually('it stands still', async () => {
      const still = made === before;
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return still && made === before;
    });
    expect(made).toBeLessThan(MUCH_BYTES / 2);
    socket.removeAllListeners('data').on('data', (chunk) => {
      received += chunk.length;
      if (received >= MUCH_BYTES - MEBIBYTE && made > MUCH_BYTES) socket.write(OK);
    });
    socket.resume();
    expect((await answer).status).toBe(200);
  });
});

describe('close', () => {
  it('lets requests end, then closes their connections', async () => {
    const held: Parameters<RawBehaviour>[0][] = [];
    await using upstream = await startRawUpstream((socket, head) => {
      if (head.startsWith('GET /held')) held.push(socket);
      else socket.write(OK);
    });
    const pool = poolTo(upstream.url);
    await Promise.all([sendOver(pool), sendOver(pool)]);
    const answer = sendOver(pool, { path: '/held' });
    await eventually('it is asked', () => held.length === 1);
    let closed = false;
    const closing = pool.close().then(() => {
      closed = true;
    });
    await eventually('the idle one is closed', () => upstream.open === 1);
    expect(closed).toBe(false);
    held[0]?.write(OK);
    expect((await answer).content).toBe('ok');
    await closing;
    await eventually('the last is closed', () => upstream.open === 0);
  });

  it('loses no request that has not been sent yet', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    await sendOver(pool);
    await afterTurn();
    const answers = [sendOver(pool), sendOver(pool)];
    await Promise.all([pool.close(), ...answers]);
    await eventually('all are closed', () => upstream.open === 0);
  });

  it('is over at once when there is nothing', async () => {
    await poolTo(refusedUrl()).close();
  });
});

describe('destroy', () => {
  let upstream: Upstream;

  beforeEach(async () => {
    upstream = await startRawUpstream(
      (socket, head) => void (head.startsWith('GET /held') || socket.write(OK)),
    );
  });
  afterEach(async () => {
    await upstream[Symbol.asyncDispose]();
  });

  it('cuts what is under way, what waits and what is idle', async () => {
    const pool = poolTo(upstream.url);
    await Promise.all([sendOver(pool), sendOver(pool)]);
    const held = failure(sendOver(pool, { path: '/held' }));
    await eventually('it is asked', () => upstream.requests.length === 3);
    const opening = failure(sendOver(pool, {}, { afresh: true }));
    const waiting = failure(sendOver(pool));
    await pool.destroy();
    for (const error of await Promise.all([held, opening, waiting]))
      expect(error).toBeInstanceOf(PoolDestroyedError);
    await eventually('all are closed', () => upstream.open === 0);
    expect(await failure(sendOver(pool))).toBeInstanceOf(PoolDestroyedError);
  });
});

describe('a service that closes idle connections at any moment', () => {
  it('gets no request twice, and no request a response of another', async () => {
    const seen: string[] = [];
    let answers = 0;
    await using upstream = await startRawUpstream((socket, head) => {
      const path = head.split(' ')[1] as string;
      seen.push(path);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`, async () => {
        for (let turn = answers++ % 6; turn > 0; turn -= 1) await afterTurn();
        socket.end();
      });
    });
    const pool = poolTo(upstream.url);
    let lost = 0;
    for (let n = 0; n < 300; n += 1) {
      const path = `/${n}`;
      const answer = await sendOver(pool, { path }).catch((error: unknown) => {
        expect(error).toMatchObject({ kept: true });
        lost += 1;
      });
      if (answer) expect(answer.content).toBe(path);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(300 - lost);
  });
});
