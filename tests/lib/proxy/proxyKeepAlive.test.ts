import { setImmediate as afterTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { forwardApp } from '../../support/gateway/forwardApp.ts';
import { type RawBehaviour, startRawUpstream } from '../../support/upstreams/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers the first request of every connection, and ends the connection under the second in this way. */
function endsUnderTheSecond(end: (...of: Parameters<RawBehaviour>) => void): RawBehaviour {
  const seen = new WeakSet<object>();
  return (socket, head) => {
    if (seen.has(socket)) end(socket, head);
    else socket.write(OK);
    seen.add(socket);
  };
}

const ENDINGS: readonly [how: string, RawBehaviour][] = [
  ['closes', (socket) => void socket.end()],
  ['resets', (socket) => void socket.resetAndDestroy()],
  ['closes within its status line', (socket) => void socket.end('HTTP/1.1 2')],
];

describe.each(ENDINGS)('a service that %s a kept connection as a request comes', (_how, end) => {
  it.each(['GET', 'HEAD'])('costs no %s: it goes once more over a new connection', async (method) => {
    await using upstream = await startRawUpstream(endsUnderTheSecond(end));
    await using app = await forwardApp(upstream.url);
    expect((await call(app.url)).status).toBe(200);
    expect((await call(app.url, { method })).status).toBe(200);
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 1, 2]);
    expect(app.outcomes).toEqual([{ kind: 'completed' }, { kind: 'completed' }]);
  });

  it.each([
    { method: 'POST', body: 'x' },
    { method: 'POST', body: '' },
    { method: 'DELETE', body: '' },
    { method: 'GET', body: 'x' },
  ])('gets no $method with "$body" a second time', async (options) => {
    await using upstream = await startRawUpstream(endsUnderTheSecond(end));
    await using app = await forwardApp(upstream.url);
    await call(app.url);
    const { body, method } = options;
    const headers = body ? { 'Content-Length': body.length } : {};
    expect((await call(app.url, { method, body, headers })).status).toBe(502);
    expect(upstream.requests).toHaveLength(2);
  });
});

it('a service that ends every connection gets a GET twice at the most', async () => {
  const end: RawBehaviour = (socket) => void socket.end();
  const first = endsUnderTheSecond(end);
  let count = 0;
  await using upstream = await startRawUpstream((socket, head) => {
    count += 1;
    if (count === 1) first(socket, head);
    else end(socket, head);
  });
  await using app = await forwardApp(upstream.url);
  await call(app.url);
  expect((await call(app.url)).status).toBe(502);
  expect(upstream.requests).toHaveLength(3);
});

it('a service that breaks a connection of its own for a GET is not asked again', async () => {
  await using upstream = await startRawUpstream((socket) => void socket.end());
  await using app = await forwardApp(upstream.url);
  expect((await call(app.url)).status).toBe(502);
  expect(upstream.requests).toHaveLength(1);
});

it('a service that has begun to answer is not asked again', async () => {
  const breaks: RawBehaviour = (socket) =>
    void socket.end('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n');
  await using upstream = await startRawUpstream(endsUnderTheSecond(breaks));
  await using app = await forwardApp(upstream.url);
  await call(app.url);
  expect((await call(app.url)).status).toBe(502);
  expect(upstream.requests).toHaveLength(2);
});

// The race itself: the service closes whenever it likes, as one does whose keep-alive time is just over.
it('hundreds of requests to a service that closes idle connections at any moment', async () => {
  let posts = 0;
  let answers = 0;
  await using upstream = await startRawUpstream((socket, head) => {
    if (head.startsWith('POST')) posts += 1;
    socket.write(OK, () => {
      const turns = answers % 5;
      answers += 1;
      void (async () => {
        for (let turn = 0; turn < turns; turn += 1) await afterTurn();
        socket.end();
      })();
    });
  });
  await using app = await forwardApp(upstream.url);
  const statuses = new Set<number>();
  let sentPosts = 0;
  for (let n = 0; n < 300; n += 1) {
    if (n % 3 === 0) {
      sentPosts += 1;
      await call(app.url, { method: 'POST', body: '' });
    } else {
      statuses.add((await call(app.url)).status);
    }
  }
  expect([...statuses]).toEqual([200]);
  expect(posts).toBeLessThanOrEqual(sentPosts);
});
