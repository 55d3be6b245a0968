import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { RequestTimeoutError } from '../../../lib/timeout/errors.ts';
import { timeout } from '../../../lib/timeout/middleware.ts';
import { answerTo, type CallResponse, call, open } from '../../support/clients/client.ts';
import { FAULTS } from '../../support/clients/faults.ts';
import { sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { type ForwardApp, forwardApp } from '../../support/gateway/forwardApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  says,
  saysAndCloses,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

/** What a client gets when the service answers these bytes. */
async function answerOf(bytes: string, method = 'GET'): Promise<CallResponse> {
  await using upstream = await startRawUpstream(says(Buffer.from(bytes, 'latin1')));
  await using app = await forwardApp(upstream.url);
  return await call(app.url, { method });
}

function ok(...lines: readonly string[]): string {
  return `${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`;
}

/** The field lines of the service, without those that Node adds for its own connection. */
const ADDED = /^(date|connection|keep-alive)$/i;
function passedOn({ fields }: CallResponse): string[] {
  return fields.filter((_, i) => !ADDED.test(fields[i - (i % 2)] as string));
}

describe('forward, the head of a response', () => {
  it.each([
    { bytes: 'HTTP/1.1 200 OK', status: 200, reason: 'OK' },
    { bytes: 'HTTP/1.1 201 Made It', status: 201, reason: 'Made It' },
    { bytes: 'HTTP/1.1 404 ', status: 404, reason: '' },
    { bytes: 'HTTP/1.1 503 Caf\u00c3\u00a9', status: 503, reason: 'Caf\u00c3\u00a9' },
    { bytes: 'HTTP/1.1 299 \u00c4\u008d', status: 299, reason: '\u00c4\u008d' },
    { bytes: 'HTTP/1.1 999 Far', status: 999, reason: 'Far' },
    { bytes: 'HTTP/1.0 200 OK', status: 200, reason: 'OK' },
  ])('$bytes is passed on', async ({ bytes, status, reason }) => {
    const answer = await answerOf(`${bytes}\r\nContent-Length: 2\r\n\r\nok`);
    expect([answer.status, answer.reason, answer.body.toString()]).toEqual([status, reason, 'ok']);
  });

  it('keeps order, case, duplicates and bytes of its fields', async () => {
    const answer = await answerOf(
      `${ok('X-Odd-CASE: a', 'Set-Cookie: a=1', 'Vary: A', 'set-cookie: b=2', 'X-Latin: \u00e9\u00ff', 'X-Empty:', 'Content-Length: 2')}ok`,
    );
    expect(passedOn(answer)).toEqual([
      ...['X-Odd-CASE', 'a', 'Set-Cookie', 'a=1', 'Vary', 'A', 'set-cookie', 'b=2'],
      ...['X-Latin', '\u00e9\u00ff', 'X-Empty', '', 'Content-Length', '2'],
    ]);
  });

  it('loses fields that speak of one connection only, and those that Connection names', async () => {
    const lines = ['Connection: X-One, close', 'X-One: 1', 'Keep-Alive: timeout=99', 'Proxy-Connection: a'];
    const more = ['Proxy-Authenticate: Basic', 'Upgrade: h2c', 'TE: a', 'X-Two: 2', 'X-Request-Id: theirs'];
    const answer = await answerOf(`${ok(...lines, ...more, 'Content-Length: 2')}ok`);
    expect(passedOn(answer)).toEqual(['X-Two', '2', 'Content-Length', '2']);
  });

  it('leaves before there is any content', async () => {
    await using upstream = await startUpstream((_req, res) => res.flushHeaders());
    await using app = await forwardApp(upstream.url);
    const req = open(app.url).end();
    expect((await answerTo(req)).statusCode).toBe(200);
    req.destroy();
  });
});

describe('forward, answers without content', () => {
  it.each([
    { name: 'HEAD', method: 'HEAD', bytes: ok('Content-Length: 1234'), status: 200, length: '1234' },
    { name: 'HEAD without a length', method: 'HEAD', bytes: ok('X-A: b'), status: 200 },
    { name: 'HEAD of chunks', method: 'HEAD', bytes: ok('Transfer-Encoding: chunked'), status: 200 },
    { name: '204', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', status: 204 },
    {
      name: '204 with content',
      bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nwrong',
      status: 204,
    },
    {
      name: '204 of chunks',
      bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n',
      status: 204,
    },
    {
      name: '304 with content',
      bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nwrong',
      status: 304,
      length: '5',
    },
    {
      name: '304',
      bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "a"\r\n\r\n',
      status: 304,
      length: '1234',
    },
    { name: 'length 0', bytes: ok('Content-Length: 0'), status: 200, length: '0' },
  ])('$name', async ({ method, bytes, status, length }) => {
    const answer = await answerOf(bytes, method);
    expect([answer.status, answer.body.length, answer.headers['content-length']]).toEqual([
      status,
      0,
      length,
    ]);
  });

  it('do not hold up the connection to the client', async () => {
    await using upstream = await startUpstream((_req, res) => void res.writeHead(204).end());
    await using app = await forwardApp(upstream.url);
    const bytes = `${'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'}GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const { rest } = await sendRaw(app.url.origin, bytes);
    await eventually('both', () => upstream.requests.length === 2);
    expect(rest.startsWith('HTTP/1.1 204') || rest === '').toBe(true);
  });
});

describe('forward, interim responses', () => {
  const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-A: b\r\n\r\n';
  const ANSWER = `${ok('Content-Length: 2')}ok`;

  it.each([
    ['early hints', '103 Early Hints', ['Link', '</b.css>; rel=preload; as=style', 'X-A', 'b']],
    ['hints without a link', '103 Early Hints', ['X-A', 'b']],
    ['processing', '102 Processing', []],
    ['one that nobody knows', '150 Odd', ['X-A', 'b']],
  ])('passes %s on', async (_name, line, fields) => {
    const lines = Array.from(
      { length: fields.length / 2 },
      (_, i) => `${fields[2 * i]}: ${fields[2 * i + 1]}\r\n`,
    );
    const answer = await answerOf(`${HINTS}HTTP/1.1 ${line}\r\n${lines.join('')}\r\n${ANSWER}`);
    expect(answer.interim.map((interim) => [interim.status, ...interim.fields])).toEqual([
      [103, 'Link', '</a.css>; rel=preload; as=style', 'X-A', 'b'],
      [Number.parseInt(line, 10), ...fields],
    ]);
    expect(answer.body.toString()).toBe('ok');
  });

  it('keeps back what speaks of one connection, of the head, or is set here', async () => {
    const fields =
      'Connection: X-B\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b\r\nX-Request-Id: 1\r\nX-A: b\r\n';
    const answer = await answerOf(`HTTP/1.1 103 Early Hints\r\n${fields}\r\n${ANSWER}`);
    expect(answer.interim.map((interim) => interim.fields)).toEqual([['X-A', 'b']]);
  });

  // RFC 9110 section 15.2.1: some services say it to whoever sends content.
  it('drops a 100 that nobody asked for', async () => {
    const answer = await answerOf(`HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n${HINTS}${ANSWER}`);
    expect(answer.interim.map(({ status }) => status)).toEqual([103]);
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
  });

  it('spares HTTP/1.0 clients', async () => {
    await using upstream = await startRawUpstream(says(HINTS + ANSWER));
    await using app = await forwardApp(upstream.url);
    const answer = await sendRaw(app.url.origin, 'GET / HTTP/1.0\r\n\r\n');
    expect([answer.status, answer.rest]).toEqual([200, '']);
  });
});

describe('forward, trailers', () => {
  const chunked = (...trailers: readonly string[]) =>
    `${ok('Trailer: X-Sum', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;

  it('travel behind the content', async () => {
    const answer = await answerOf(chunked('X-Sum: 1', 'x-dup: a', 'X-Dup: b'));
    expect(answer.trailers).toEqual(['X-Sum', '1', 'x-dup', 'a', 'X-Dup', 'b']);
    expect(answer.headers.trailer).toBeUndefined();
  });

  it('carry nothing that belongs into the head', async () => {
    const answer = await answerOf(
      chunked('Set-Cookie: a=1', 'Content-Type: a/b', 'X-Request-Id: b', 'Connection: close', 'X-Sum: 1'),
    );
    expect(answer.trailers).toEqual(['X-Sum', '1']);
  });

  it('announced beside a length end nothing', async () => {
    const answer = await answerOf(`${ok('Trailer: X-Sum', 'Content-Length: 2')}ok`);
    expect(answer.body.toString()).toBe('ok');
  });
});

describe('forward, a broken service', () => {
  async function expectUnharmed(app: ForwardApp, upstream: Upstream): Promise<void> {
    expect(app.outcomes).toEqual([{ kind: 'failed', failure: 'bad', error: expect.any(Error) }]);
    expect(app.exchanges[0]?.attempt?.target.url.host).toBe(upstream.url.host);
  }

  it.each(FAULTS)('that %s', async (_what, behaviour, outcome) => {
    await using upstream = await startRawUpstream(behaviour);
    await using app = await forwardApp(upstream.url);
    if (outcome === 'cut') {
      await expect(call(app.url)).rejects.toThrow();
      await expectUnharmed(app, upstream);
      return;
    }
    const answer = await call(app.url);
    expect(answer.status).toBe(outcome === 'whole' ? 200 : 502);
    if (outcome === 'whole') return;
    expect(JSON.parse(answer.body.toString()).code).toBe(outcome);
    await expectUnharmed(app, upstream);
  });

  it('that refuses connections', async () => {
    await using app = await forwardApp(refusedUrl());
    expect((await call(app.url, { method: 'POST', body: 'content' })).status).toBe(502);
    expect(app.errors[0]).toMatchObject({ code: 'upstream_unreachable' });
    expect(app.exchanges[0]?.attempt?.sent).toBe(false);
    expect(app.outcomes).toMatchObject([{ kind: 'failed' }]);
  });

  it('that closes a connection which it kept open', async () => {
    let answers = 0;
    const behaviour: RawBehaviour = (socket) => {
      answers += 1;
      socket.write(`${ok('Content-Length: 2')}ok`);
      if (answers === 1) setImmediate(() => socket.end());
    };
    await using upstream = await startRawUpstream(behaviour);
    await using app = await forwardApp(upstream.url);
    expect((await call(app.url)).status).toBe(200);
    await eventually('the close', () => upstream.open === 0);
    expect((await call(app.url)).status).toBe(200);
  });

  it('whose response has neither length nor chunks ends it by closing', async () => {
    await using upstream = await startRawUpstream(saysAndCloses(`${ok()}to the end`));
    await using app = await forwardApp(upstream.url);
    expect((await call(app.url)).body.toString()).toBe('to the end');
  });
});

describe('forward with a deadline in front', () => {
  const TIMEOUT_MS = 3_000;

  async function behindDeadline(behaviour: RawBehaviour) {
    const clock = new ManualClock();
    const stack = new AsyncDisposableStack();
    const upstream = stack.use(await startRawUpstream(behaviour));
    const before = timeout({ timeoutMs: TIMEOUT_MS, clock });
    const app = stack.use(await forwardApp(upstream.url, { before, clock }));
    return { clock, upstream, app, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  it('leaves a service that hangs, replies once and keeps the connection to the client', async () => {
    await using test = await behindDeadline(hangs);
    const { app, clock, upstream } = test;
    const req = open(app.url, { headers: { Connection: 'keep-alive' } }).end();
    const answer = answerTo(req);
    await eventually('the request', () => upstream.requests.length === 1);
    clock.advance(TIMEOUT_MS);
    const { statusCode } = await answer;
    expect(statusCode).toBe(504);
    expect(app.errors).toEqual([expect.any(RequestTimeoutError)]);
    expect(app.outcomes).toEqual([{ kind: 'failed', failure: 'bad', error: app.errors[0] }]);
    await eventually('the service is left', () => upstream.open === 0);
    expect(req.socket?.destroyed).toBe(false);
  });

  it('does not count it against a service whose client sends too slowly', async () => {
    await using test = await behindDeadline(hangs);
    const { app, clock, upstream } = test;
    const req = open(app.url, { method: 'POST' });
    req.write('a beginning');
    const answer = answerTo(req);
    await eventually('the request', () => upstream.requests.length === 1);
    clock.advance(2 * TIMEOUT_MS);
    expect((await answer).statusCode).toBe(408);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
    req.destroy();
  });

  it('asks nobody when the request was given up before', async () => {
    await using upstream = await startUpstream();
    const before: RequestHandler = (_req, _res, next) => {
      app.exchanges[0]?.abort(Object.assign(new Error('draining'), { status: 503 }));
      next();
    };
    await using app = await forwardApp(upstream.url, { before });
    expect((await call(app.url)).status).toBe(503);
    expect(upstream.requests).toEqual([]);
  });
});
