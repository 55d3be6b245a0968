import type { OutgoingHttpHeaders } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { ClientGoneError } from '../../../lib/exchange/errors.ts';
import { exchangeOf, nextWhileDue } from '../../../lib/exchange/exchange.ts';
import { RequestTimeoutError, UploadStalledError } from '../../../lib/timeout/errors.ts';
import { timeout } from '../../../lib/timeout/middleware.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, type BareApp, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { neverCalled } from '../../support/neverCalled.ts';

const TIMEOUT_MS = 3_000;

const neverAnswers: RequestHandler = () => {};

async function requestArrives({ responses }: BareApp): Promise<void> {
  await eventually('the request', () => responses.length > 0);
}

/** An upload whose chunks the test sends one by one. */
function uploadTo(app: BareApp, headers: OutgoingHttpHeaders = { 'Transfer-Encoding': 'chunked' }) {
  const req = open(app.url, { method: 'POST', headers });
  const answer = answerTo(req);
  // Some tests leave before it comes.
  answer.catch(() => {});
  const receivedBytes = () => app.responses[0]?.req.socket.bytesRead ?? 0;
  return {
    req,
    answer,
    /** Resolves when the app's connection has received it. */
    async sends(chunk: string) {
      const before = receivedBytes();
      req.write(chunk);
      await eventually('the chunk', () => receivedBytes() >= before + chunk.length);
    },
    async ends() {
      req.end('last');
      await eventually('the end', () => app.responses[0]?.req.complete);
    },
  };
}

describe('timeout', () => {
  it('hands RequestTimeoutError to next and aborts the exchange with it', async () => {
    const clock = new ManualClock();
    let timeouts = 0;
    const onTimeout = () => {
      timeouts += 1;
    };
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, onTimeout, clock }), neverAnswers]);

    const answer = call(app.url);
    await requestArrives(app);
    clock.advance(TIMEOUT_MS - 1);
    expect(app.errors).toEqual([]);
    clock.advance(1);

    expect((await answer).status).toBe(504);
    expect(app.errors).toEqual([expect.any(RequestTimeoutError)]);
    expect(app.errors[0]).toMatchObject({
      ...{ name: 'RequestTimeoutError', status: 504, code: 'request_timeout' },
      message: 'no response began within 3000 ms',
    });
    expect(app.exchanges[0]?.signal.reason).toBe(app.errors[0]);
    expect(timeouts).toBe(1);
  });

  it('replies itself: whoever is interrupted must not', async () => {
    const clock = new ManualClock();
    const waits: RequestHandler = (_req, res) =>
      exchangeOf(res).onAbort(nextWhileDue(res, neverCalled('next')));
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), waits]);
    const answer = call(app.url);
    await requestArrives(app);
    clock.advance(TIMEOUT_MS);
    expect((await answer).status).toBe(504);
    expect(app.errors).toHaveLength(1);
  });

  it('is honoured by the default error handler of Express', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), neverAnswers], {
      errors: 'express',
    });
    const answer = call(app.url);
    await requestArrives(app);
    clock.advance(TIMEOUT_MS);
    expect((await answer).status).toBe(504);
  });

  it('lets a response that has begun flow for as long as it likes', async () => {
    const clock = new ManualClock();
    const begins: RequestHandler = (_req, res) => void res.write('first, ');
    await using app = await bareApp([
      timeout({ timeoutMs: TIMEOUT_MS, onTimeout: neverCalled('onTimeout'), clock }),
      begins,
    ]);
    const req = open(app.url).end();
    const answer = await answerTo(req);
    clock.advance(100 * TIMEOUT_MS);
    app.responses[0]?.end('last');
    const chunks = await answer.toArray();
    expect(Buffer.concat(chunks).toString()).toBe('first, last');
    expect(app.exchanges[0]?.signal.aborted).toBe(false);
  });

  it('leaves a connection alone that was upgraded', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), neverAnswers]);
    open(app.url).end();
    await requestArrives(app);
    Object.assign(app.exchanges[0] ?? {}, { upgraded: true });
    clock.advance(TIMEOUT_MS);
    expect(app.exchanges[0]?.signal.aborted).toBe(false);
  });

  it('tells when the caller gives up', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), answers()]);
    await call(app.url);
    expect(app.exchanges[0]?.deadlineAtMs).toBe(clock.now() + TIMEOUT_MS);
  });

  it('answers 504 even when the listener throws', async () => {
    const clock = new ManualClock();
    using broken = new BrokenListener();
    const onTimeout = broken.listen;
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, onTimeout, clock }), neverAnswers]);
    const answer = call(app.url);
    await requestArrives(app);
    clock.advance(TIMEOUT_MS);
    expect((await answer).status).toBe(504);
  });

  it('keeps apps with different options apart', async () => {
    const clock = new ManualClock();
    await using patient = await bareApp([timeout({ timeoutMs: 2 * TIMEOUT_MS, clock }), neverAnswers]);
    await using hasty = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), neverAnswers]);
    open(patient.url).end();
    open(hasty.url).end();
    await requestArrives(patient);
    await requestArrives(hasty);
    clock.advance(TIMEOUT_MS);
    expect(hasty.errors).toHaveLength(1);
    expect(patient.errors).toHaveLength(0);
  });
});

describe("timeout, the caller's own deadline", () => {
  const cases: { name: string; accept?: boolean; field?: string | string[]; waitsMs: number }[] = [
    { name: 'that is as long as the own is not blamed', field: '3000', waitsMs: TIMEOUT_MS },
    { name: 'shortens', field: '1000', waitsMs: 1_000 },
    { name: 'cannot lengthen', field: '60000', waitsMs: TIMEOUT_MS },
    { name: 'is ignored unless accepted', accept: false, field: '1000', waitsMs: TIMEOUT_MS },
    { name: 'of 0 is 1 ms', field: '0', waitsMs: 1 },
    { name: 'that is negative is ignored', field: '-5', waitsMs: TIMEOUT_MS },
    { name: 'that is no number is ignored', field: '1s', waitsMs: TIMEOUT_MS },
    { name: 'in exponent form is ignored', field: '1e2', waitsMs: TIMEOUT_MS },
    { name: 'with a fraction is ignored', field: '1.5', waitsMs: TIMEOUT_MS },
    { name: 'longer than any number is ignored', field: '9'.repeat(400), waitsMs: TIMEOUT_MS },
    { name: 'given twice is ignored', field: ['10', '20'], waitsMs: TIMEOUT_MS },
    { name: 'that is empty is ignored', field: '', waitsMs: TIMEOUT_MS },
  ];

  it.each(cases)('$name', async ({ accept = true, field = [], waitsMs }) => {
    const clock = new ManualClock();
    const middleware = timeout({ timeoutMs: TIMEOUT_MS, acceptCallersDeadline: accept, clock });
    await using app = await bareApp([middleware, neverAnswers]);
    const answer = call(app.url, { headers: { 'X-Request-Timeout-Ms': field } });
    await requestArrives(app);
    clock.advance(waitsMs - 1);
    expect(app.errors).toHaveLength(0);
    clock.advance(1);
    expect((await answer).status).toBe(504);
    expect(app.errors).toEqual([expect.objectContaining({ callersOwn: waitsMs < TIMEOUT_MS })]);
  });

  it('is ignored when nothing is said of it', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), neverAnswers]);
    const answer = call(app.url, { headers: { 'X-Request-Timeout-Ms': '1000' } });
    await requestArrives(app);
    clock.advance(TIMEOUT_MS - 1);
    expect(app.errors).toHaveLength(0);
    clock.advance(1);
    expect((await answer).status).toBe(504);
  });
});

describe('timeout, an upload', () => {
  const reads: RequestHandler = (req) => void req.resume();
  const ignoresContent: RequestHandler = () => {};

  it.each([
    { name: 'chunked', headers: { 'Transfer-Encoding': 'chunked' } },
    { name: 'of known length', headers: { 'Content-Length': '50015' } },
  ])('$name is not cut while it flows, and has the whole time once it is complete', async ({ headers }) => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), reads]);
    const upload = uploadTo(app, headers);
    await upload.sends('a beginning');
    for (let i = 0; i < 5; i += 1) {
      await upload.sends('x'.repeat(10_000));
      clock.advance(TIMEOUT_MS);
      expect(app.errors).toHaveLength(0);
    }
    clock.advance(1_000);
    await upload.ends();
    await eventually('the end is read', () => app.responses[0]?.req.readableEnded);

    clock.advance(TIMEOUT_MS - 1);
    expect(app.errors).toHaveLength(0);
    clock.advance(1);
    expect((await upload.answer).statusCode).toBe(504);
  });

  it('that stalls in mid-body ends in UploadStalledError', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), reads]);
    const upload = uploadTo(app);
    await upload.sends('a beginning');
    await upload.sends('and no end');
    clock.advance(TIMEOUT_MS);
    expect(app.errors).toHaveLength(0);
    clock.advance(TIMEOUT_MS);
    expect((await upload.answer).statusCode).toBe(408);
    expect(app.errors).toEqual([expect.any(UploadStalledError)]);
    expect(app.errors[0]).toMatchObject({
      ...{ name: 'UploadStalledError', status: 408, code: 'upload_stalled' },
      message: "the request's content came too slowly for 3000 ms",
    });
  });

  it.each([
    { bytes: 6_000, errors: 0 },
    { bytes: 5_999, errors: 1 },
  ])(
    'of $bytes bytes in 3 s, where 2,000 a second are asked for: $errors errors',
    async ({ bytes, errors }) => {
      const clock = new ManualClock();
      const middleware = timeout({ timeoutMs: TIMEOUT_MS, minUploadRate: 2_000, clock });
      await using app = await bareApp([middleware, reads]);
      const upload = uploadTo(app, { 'Content-Length': '50000' });
      upload.req.flushHeaders();
      await requestArrives(app);
      await upload.sends('x'.repeat(bytes));
      clock.advance(TIMEOUT_MS);
      expect(app.errors).toHaveLength(errors);
    },
  );

  it('of which nothing has come yet has bodyTimeoutMs from its head on', async () => {
    const clock = new ManualClock();
    const middleware = timeout({ timeoutMs: TIMEOUT_MS, bodyTimeoutMs: 3 * TIMEOUT_MS, clock });
    await using app = await bareApp([middleware, reads]);
    const upload = uploadTo(app);
    upload.req.flushHeaders();
    await requestArrives(app);
    clock.advance(3 * TIMEOUT_MS - 1);
    expect(app.errors).toHaveLength(0);
    clock.advance(1);
    expect((await upload.answer).statusCode).toBe(408);
  });

  it('that is not read on ends in RequestTimeoutError: the client is not to blame', async () => {
    const clock = new ManualClock();
    const pauses: RequestHandler = (req) => void req.once('data', () => req.pause()).resume();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), pauses]);
    const upload = uploadTo(app);
    await upload.sends('a beginning');
    await upload.sends('and no end');
    clock.advance(2 * TIMEOUT_MS);
    expect((await upload.answer).statusCode).toBe(504);
    expect(app.errors).toEqual([expect.any(RequestTimeoutError)]);
  });

  it('that nobody reads ends in RequestTimeoutError though all of it has arrived', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), ignoresContent]);
    const upload = uploadTo(app);
    await upload.sends('all of it');
    await upload.ends();
    clock.advance(2 * TIMEOUT_MS);
    expect(app.errors).toHaveLength(1);
  });

  it('moves the deadline that the service is told', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), reads]);
    const upload = uploadTo(app);
    await upload.sends('a beginning');
    await upload.sends('and more');
    clock.advance(TIMEOUT_MS);
    expect(app.exchanges[0]?.deadlineAtMs).toBe(clock.now() + TIMEOUT_MS);
    upload.req.destroy();
  });

  it('does not look at what the connection carries after it', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), ignoresContent]);
    const upload = uploadTo(app, { 'Transfer-Encoding': 'chunked', Connection: 'keep-alive' });
    await upload.sends('all of it');
    await upload.ends();
    clock.advance(TIMEOUT_MS);
    const before = app.responses[0]?.req.socket.bytesRead ?? 0;
    // A pipelined request: more bytes on the same connection, none of them of this upload.
    upload.req.socket?.write('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('more bytes', () => (app.responses[0]?.req.socket.bytesRead ?? 0) > before);
    clock.advance(TIMEOUT_MS);
    expect(app.exchanges[0]?.signal.reason).toBeInstanceOf(RequestTimeoutError);
  });
});

describe('timeout leaves nothing behind', () => {
  it('when the response is complete', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), answers()]);
    await call(app.url);
    await eventually('its end', () => app.responses[0]?.closed);
    clock.advance(TIMEOUT_MS);
    expect(app.exchanges[0]?.abortReason).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  it('when the client leaves', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([
      timeout({ timeoutMs: TIMEOUT_MS, onTimeout: neverCalled('onTimeout'), clock }),
      neverAnswers,
    ]);
    const req = open(app.url).end();
    await requestArrives(app);
    expect(clock.pending).toBe(1);
    req.destroy();
    await eventually('its end', () => app.responses[0]?.closed);
    clock.advance(TIMEOUT_MS);
    expect(clock.pending).toBe(0);
    expect(app.errors).toHaveLength(0);
  });

  it('when a caller with a deadline of its own leaves', async () => {
    const clock = new ManualClock();
    const middleware = timeout({ timeoutMs: TIMEOUT_MS, acceptCallersDeadline: true, clock });
    await using app = await bareApp([middleware, neverAnswers]);
    const req = open(app.url, { headers: { 'X-Request-Timeout-Ms': '1000' } }).end();
    await requestArrives(app);
    expect(clock.pending).toBe(1);
    req.destroy();
    await eventually('its end', () => app.responses[0]?.closed);
    expect(clock.pending).toBe(0);
  });

  it('when the client leaves an upload that has gone on for long', async () => {
    const clock = new ManualClock();
    await using app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), neverAnswers]);
    const upload = uploadTo(app);
    await upload.sends('a beginning');
    await upload.sends('and more');
    clock.advance(TIMEOUT_MS);
    expect(clock.pending).toBe(1);
    upload.req.destroy();
    await eventually('its end', () => app.responses[0]?.closed);
    clock.advance(TIMEOUT_MS);
    expect(app.exchanges[0]?.abortReason).toBeInstanceOf(ClientGoneError);
    expect(clock.pending).toBe(0);
  });
});

describe('timeout refuses', () => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])('timeoutMs %p', (timeoutMs) => {
    expect(() => timeout({ timeoutMs })).toThrow(
      new RangeError(`timeout: timeoutMs must be a whole number 1..2147483647, got ${timeoutMs}`),
    );
  });

  it.each([-1, 1.5, Number.NaN])('minUploadRate %p', (minUploadRate) => {
    expect(() => timeout({ timeoutMs: 1, minUploadRate })).toThrow(
      new RangeError(`timeout: minUploadRate must be a whole number 0..2147483647, got ${minUploadRate}`),
    );
  });

  it.each([0, 1.5, 2 ** 31])('bodyTimeoutMs %p', (bodyTimeoutMs) => {
    expect(() => timeout({ timeoutMs: 1, bodyTimeoutMs })).toThrow(
      new RangeError(`timeout: bodyTimeoutMs must be a whole number 1..2147483647, got ${bodyTimeoutMs}`),
    );
  });

  it.each([1, 2 ** 31 - 1])('not timeoutMs %p', (timeoutMs) => {
    expect(timeout({ timeoutMs }).name).toBe('timeoutMiddleware');
  });
});
