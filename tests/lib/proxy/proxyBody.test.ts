import { getEventListeners, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { ClientGoneError } from '../../../lib/exchange/errors.ts';
import { BodyTooLargeError, UpstreamSilentError } from '../../../lib/proxy/errors.ts';
import { RequestBody } from '../../../lib/proxy/request/requestBody.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { startRecordingOrigin } from '../../support/clients/http1.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { forwardApp } from '../../support/gateway/forwardApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  resets,
  says,
  startRawUpstream,
  startUpstream,
} from '../../support/upstreams/upstream.ts';

const MEBIBYTE = 2 ** 20;
/** More than sockets and streams on the way can hold: who sends this much must have been stopped. */
const MUCH_BYTES = 64 * MEBIBYTE;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** A service whose requests and answers the test reads and writes itself. */
async function startStreaming() {
  const begun = deferred<{ req: IncomingMessage; res: ServerResponse }>();
  const upstream = await startUpstream((req, res) => begun.resolve({ req, res }), { readsBody: false });
  return Object.assign(upstream, { begun: begun.promise });
}

/** Writes until nobody takes any more, or `limitBytes` are gone; resolves to the bytes written. */
async function writeUntilBlocked(
  stream: { write(chunk: Buffer): boolean; once(event: 'drain', listener: () => void): unknown },
  limitBytes: number,
): Promise<number> {
  let written = 0;
  while (written < limitBytes) {
    written += CHUNK.length;
    if (stream.write(CHUNK)) continue;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), 200);
    stream.once('drain', () => resolve(true));
    const drained = await promise;
    clearTimeout(timer);
    if (!drained) break;
  }
  return written;
}

describe('forward, the content of a request', () => {
  it('leaves in one chunk when it has come in many at once', async () => {
    await using origin = await startRecordingOrigin((socket, received) => {
      if (received.endsWith('0\r\n\r\n')) socket.end('HTTP/1.1 204 No Content\r\n\r\n');
    });
    await using app = await forwardApp(origin.url);
    const tiny = 'a b c d e f g'.split(' ').map((letter) => `1\r\n${letter}\r\n`);
    const head = request('POST /', 'Transfer-Encoding: chunked');
    expect((await sendRaw(app.url.origin, `${head}${tiny.join('')}0\r\n\r\n`)).status).toBe(204);
    expect(origin.received[0]).toMatch(/\r\n\r\n7\r\nabcdefg\r\n0\r\n\r\n$/);
  });

  it('arrives as it is sent, piece by piece', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'POST' });
    req.write('first');
    const service = await upstream.begun;
    expect(String(await once(service.req, 'data'))).toBe('first');
    req.end('last');
    expect(String(await once(service.req, 'data'))).toBe('last');
    service.res.end('ok');
    expect((await answerTo(req)).statusCode).toBe(200);
  });

  it.each([
    { name: 'a length', headers: { 'Content-Length': '7' }, length: '7', coding: undefined },
    { name: 'chunks', headers: { 'Transfer-Encoding': 'chunked' }, length: undefined, coding: 'chunked' },
  ])('keeps its framing: $name', async ({ headers, length, coding }) => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'PUT', headers });
    req.write('con');
    const service = await upstream.begun;
    expect(service.req.headers['content-length']).toBe(length);
    expect(service.req.headers['transfer-encoding']).toBe(coding);
    req.end('tent');
    expect(await text(service.req)).toBe('content');
  });

  it.each(['GET', 'DELETE', 'OPTIONS', 'PATCH'])('travels with %s too', async (method) => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    await call(app.url, { method, headers: { 'Content-Length': '7' }, body: 'content' });
    expect(upstream.requests[0]?.body.toString()).toBe('content');
  });

  it('may be empty', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    await call(app.url, { method: 'POST', headers: { 'Content-Length': '0' } });
    await call(app.url, { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' }, body: '' });
    expect(upstream.requests.map(({ body }) => body.length)).toEqual([0, 0]);
  });

  it('survives in size and order', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    const content = Buffer.from(Uint32Array.from({ length: MEBIBYTE }, (_, i) => i).buffer);
    await call(app.url, { method: 'POST', body: content });
    expect(upstream.requests[0]?.body.equals(content)).toBe(true);
  });

  it('is held back by a service that does not read it', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'POST' });
    req.write('first');
    await upstream.begun;
    expect(await writeUntilBlocked(req, MUCH_BYTES)).toBeLessThan(MUCH_BYTES);
    req.destroy();
  });
});

describe('RequestBody', () => {
  /** The content of one request, read and dropped. */
  async function contentOf(maxBytes: number, send: (req: ReturnType<typeof open>) => void) {
    let body: RequestBody | undefined;
    await using app = await bareApp((req) => {
      body = new RequestBody(req, maxBytes).resume();
    });
    const req = open(app.url, { method: 'POST' });
    req.flushHeaders();
    await eventually('the request', () => body);
    send(req);
    await eventually('the end', () => body?.destroyed);
    req.destroy();
    return body;
  }

  it('is broken when the client leaves, and harms nobody who has stopped listening', async () => {
    const body = await contentOf(0, (req) => req.destroy());
    expect(body?.errored).toBeInstanceOf(ClientGoneError);
  });

  it('is broken when it grows too large', async () => {
    const body = await contentOf(5, (req) => req.write('123456'));
    expect(body?.errored).toBeInstanceOf(BodyTooLargeError);
    expect(body?.receivedBytes).toBe(6);
  });
});

describe('forward, the content of a response', () => {
  it('arrives as it is sent, piece by piece', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url).end();
    const { res } = await upstream.begun;
    res.write('first');
    const answer = await answerTo(req);
    expect(String(await once(answer, 'data'))).toBe('first');
    res.end('last');
    expect(String(await once(answer, 'data'))).toBe('last');
  });

  it('is held back by a client that does not read it, and goes on when it does', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const answer = answerTo(open(app.url).end());
    const { res } = await upstream.begun;
    const written = await writeUntilBlocked(res, MUCH_BYTES);
    expect(written).toBeLessThan(MUCH_BYTES);
    res.end();
    let readBytes = 0;
    for await (const chunk of await answer) readBytes += chunk.length;
    expect(readBytes).toBe(written);
    expect(app.outcomes).toEqual([{ kind: 'completed' }]);
  });
});

describe('forward, maxBodyBytes', () => {
  it.each([
    {
      name: 'exactly as much by length',
      headers: { 'Content-Length': '10' },
      body: 'x'.repeat(10),
      status: 200,
    },
    { name: 'more by length', headers: { 'Content-Length': '11' }, body: 'x'.repeat(11), status: 413 },
    {
      name: 'exactly as much in chunks',
      headers: { 'Transfer-Encoding': 'chunked' },
      body: 'x'.repeat(10),
      status: 200,
    },
    {
      name: 'more in chunks',
      headers: { 'Transfer-Encoding': 'chunked' },
      body: 'x'.repeat(11),
      status: 413,
    },
  ])('of 10 answers $name with $status', async ({ headers, body, status }) => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url, { maxBodyBytes: 10 });
    expect((await call(app.url, { method: 'POST', headers, body })).status).toBe(status);
    if (status === 200) return;
    expect(app.errors).toEqual([expect.any(BodyTooLargeError)]);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
    expect(upstream.requests.map((request) => request.body.length).filter((length) => length > 10)).toEqual(
      [],
    );
  });

  it('does not ask the service when the length says enough', async () => {
    await using upstream = await startUpstream(undefined, { readsBody: false });
    await using app = await forwardApp(upstream.url, { maxBodyBytes: 10 });
    const req = open(app.url, { method: 'POST', headers: { 'Content-Length': '1000000' } });
    req.write('a beginning');
    expect((await answerTo(req)).statusCode).toBe(413);
    expect(upstream.open).toBe(0);
    req.destroy();
  });

  it('does not let the service take a part for the whole', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url, { maxBodyBytes: 10 });
    const req = open(app.url, { method: 'POST' });
    req.write('12345');
    const service = await upstream.begun;
    service.req.resume();
    req.end('678901');
    expect((await answerTo(req)).statusCode).toBe(413);
    await eventually('the service is left', () => service.req.destroyed);
    expect(service.req.complete).toBe(false);
  });

  it('is no limit by default', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    expect((await call(app.url, { method: 'POST', body: Buffer.alloc(5 * MEBIBYTE) })).status).toBe(200);
  });
});

describe('forward, a client that leaves', () => {
  it('before the response takes the request to the service along', async () => {
    await using upstream = await startRawUpstream(hangs);
    await using app = await forwardApp(upstream.url);
    const req = open(app.url).end();
    await eventually('the request', () => upstream.requests.length === 1);
    req.destroy();
    await eventually('the service is left', () => upstream.open === 0);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
    expect(app.errors).toEqual([]);
    expect(app.exchanges[0]?.signal.reason).toBeInstanceOf(ClientGoneError);
  });

  it('in the middle of the response, too', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url).end();
    const { res } = await upstream.begun;
    res.write('a beginning');
    await answerTo(req);
    req.destroy();
    await once(res, 'close');
    await eventually('the end', () => app.outcomes.length === 1);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('while its response is held back, too', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url).end();
    const answer = answerTo(req);
    const { res } = await upstream.begun;
    expect(await writeUntilBlocked(res, MUCH_BYTES)).toBeLessThan(MUCH_BYTES);
    await answer;
    req.destroy();
    await eventually('the service is left', () => res.destroyed);
  });

  it('in the middle of its content does not look as if that were all', async () => {
    await using upstream = await startStreaming();
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'POST' });
    req.write('a beginning');
    const service = await upstream.begun;
    service.req.on('error', () => {});
    service.req.resume();
    req.destroy();
    await eventually('the service is left', () => service.req.destroyed);
    expect(service.req.complete).toBe(false);
    await eventually('the end', () => app.outcomes.length === 1);
    expect(app.outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('leaves no listener behind', async () => {
    await using upstream = await startUpstream();
    await using app = await forwardApp(upstream.url);
    await call(app.url, { method: 'POST', body: 'content' });
    const [exchange, res] = [app.exchanges[0], app.responses[0]];
    expect(exchange && getEventListeners(exchange.signal, 'abort')).toEqual([]);
    expect(res?.listenerCount('drain')).toBe(0);
  });
});

describe('forward, a service that answers before it has read', () => {
  const EARLY = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig';
  const behaviours: { name: string; behaviour: RawBehaviour }[] = [
    { name: 'and keeps the connection', behaviour: says(EARLY) },
    { name: 'and closes it', behaviour: (socket) => void socket.end(EARLY) },
  ];

  it.each(behaviours)('$name is heard', async ({ behaviour }) => {
    await using upstream = await startRawUpstream(behaviour);
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'POST' });
    req.write('a beginning');
    const answer = await answerTo(req);
    expect(answer.statusCode).toBe(413);
    expect(String(await once(answer, 'data'))).toBe('big');
    expect(app.outcomes).toEqual([{ kind: 'completed' }]);
    // The client may go on as if nothing had happened, and even leave: nobody is harmed.
    for (let i = 0; i < 10; i += 1) req.write(CHUNK);
    req.destroy();
    await eventually('the end', () => app.responses[0]?.closed);
    expect((await call(app.url)).status).toBe(413);
  });

  it('with a reset costs the request and nothing else', async () => {
    await using upstream = await startRawUpstream(resets);
    await using app = await forwardApp(upstream.url);
    const req = open(app.url, { method: 'POST' });
    req.write(CHUNK);
    expect((await answerTo(req)).statusCode).toBe(502);
    for (let i = 0; i < 10; i += 1) req.write(CHUNK);
    req.destroy();
    await eventually('the end', () => app.responses[0]?.closed);
    expect((await call(app.url)).status).toBe(502);
  });
});

describe('forward, silence in the middle of a response', () => {
  const SILENCE_MS = 10_000;

  async function streaming(fields: Record<string, string> = {}, method = 'GET', before?: RequestHandler) {
    const clock = new ManualClock();
    const stack = new AsyncDisposableStack();
    const upstream = stack.use(await startStreaming());
    const app = stack.use(await forwardApp(upstream.url, { idleTimeoutMs: SILENCE_MS, clock, before }));
    const req = open(app.url, { method });
    const begins = answerTo(req);
    if (method === 'GET') req.end();
    else req.write('a piece');
    const service = await upstream.begun;
    service.res.writeHead(200, fields).flushHeaders();
    const answer = await begins;
    let received = '';
    answer.on('error', () => {});
    answer.on('data', (chunk) => {
      received += chunk;
    });
    return {
      ...{ clock, app, req, service, answer },
      async says(text: string) {
        service.res.write(text);
        await eventually('the text', () => received.endsWith(text));
      },
      async [Symbol.asyncDispose]() {
        req.destroy();
        await stack.disposeAsync();
      },
    };
  }

  it('cuts the response off', async () => {
    await using test = await streaming();
    await test.says('a beginning');
    test.clock.advance(SILENCE_MS - 1);
    expect(test.answer.destroyed).toBe(false);
    test.clock.advance(1);
    await eventually('the cut', () => test.answer.destroyed);
    expect(test.answer.complete).toBe(false);
    expect(test.app.outcomes).toEqual([
      { kind: 'failed', failure: 'bad', error: expect.any(UpstreamSilentError) },
    ]);
    expect(test.app.exchanges[0]?.errorCode).toBe('upstream_bad_response');
  });

  it('cuts off a response that never gets beyond its head', async () => {
    await using test = await streaming();
    test.clock.advance(SILENCE_MS);
    await eventually('the cut', () => test.answer.destroyed);
  });

  it('is counted from the last sound', async () => {
    await using test = await streaming();
    for (let i = 0; i < 10; i += 1) {
      await test.says(`sound ${i}`);
      test.clock.advance(SILENCE_MS - 1);
    }
    test.service.res.end();
    await once(test.answer, 'end');
    expect(test.clock.pending).toBe(0);
  });

  it('is what event streams may keep', async () => {
    await using test = await streaming({ 'Content-Type': 'Text/Event-Stream' });
    test.clock.advance(1_000 * SILENCE_MS);
    await test.says('data: still here\n\n');
    expect(test.clock.pending).toBe(0);
  });

  it('is not the fault of a service whose client reads slowly', async () => {
    await using test = await streaming();
    test.answer.pause();
    expect(await writeUntilBlocked(test.service.res, MUCH_BYTES)).toBeLessThan(MUCH_BYTES);
    test.clock.advance(1_000 * SILENCE_MS);
    expect(test.app.outcomes).toEqual([]);
    test.answer.resume();
    test.service.res.end();
    await once(test.answer, 'end');
    expect(test.app.outcomes).toEqual([{ kind: 'completed' }]);
  });

  it('is fair while the service still gets content to read', async () => {
    await using test = await streaming({}, 'POST');
    let arrivedBytes = 0;
    test.service.req.on('data', (chunk) => {
      arrivedBytes += chunk.length;
    });
    for (let i = 2; i <= 6; i += 1) {
      test.req.write('a piece');
      await eventually('the piece', () => arrivedBytes === i * 'a piece'.length);
      test.clock.advance(SILENCE_MS);
    }
    expect(test.answer.destroyed).toBe(false);
    test.clock.advance(SILENCE_MS);
    await eventually('the cut', () => test.answer.destroyed);
  });

  it('leaves no timer behind when the client leaves', async () => {
    await using test = await streaming();
    expect(test.clock.pending).toBe(1);
    test.req.destroy();
    await eventually('no timer', () => test.clock.pending === 0);
  });
});
