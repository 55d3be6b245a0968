import { describe, expect, it } from '@jest/globals';
import { collectContent } from '../../../lib/concurrency/collectContent.ts';
import { Semaphore } from '../../../lib/concurrency/semaphore.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, type BareApp, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { neverCalled } from '../../support/neverCalled.ts';

const LIMITS = { maxBytes: 10_000, timeoutMs: 3_000 };

/** Begins an upload whose end is still to come. */
function upload(app: BareApp, caller = 'a', piece = 'x') {
  const req = open(app.url, { method: 'POST', headers: { 'X-Caller': caller } });
  req.write(piece);
  return req;
}

const callerOf = (req: { headers: { [name: string]: unknown } }) => String(req.headers['x-caller']);

describe('collectContent', () => {
  it('goes on once all content is there, in however many pieces', async () => {
    const permits = new Semaphore({ limit: 1 });
    let seen: string | undefined;
    await using app = await bareApp([
      collectContent({ permits, ...LIMITS }),
      (_req, res) => {
        seen = exchangeOf(res).content?.toString();
        res.end('ok');
      },
    ]);
    const req = upload(app, 'a', 'begin ');
    await eventually('it has begun', () => permits.held === 1);
    for (let n = 0; n < 500; n += 1) req.write(`${n},`);
    expect(seen).toBeUndefined();
    req.end('end');
    await eventually('it has gone on', () => seen);
    expect(seen).toBe(`begin ${Array.from({ length: 500 }, (_, n) => `${n},`).join('')}end`);
    await eventually('its room is free', () => permits.held === 0);
    expect(app.exchanges[0]?.content).toBeUndefined();
  });

  it.each(['maxBytes', 'timeoutMs'])('refuses %s that make no sense', (name) => {
    const permits = new Semaphore({ limit: 1 });
    for (const value of [0, -1, 1.5, 2 ** 31, Number.NaN]) {
      const options = { permits, ...LIMITS, [name]: value };
      expect(() => collectContent(options)).toThrow(
        new RangeError(`collectContent: ${name} must be a whole number 1..2147483647, got ${value}`),
      );
    }
  });

  it('lets requests without content pass at once', async () => {
    const permits = new Semaphore({ limit: 0 });
    await using app = await bareApp([collectContent({ permits, ...LIMITS }), answers()]);
    expect((await call(app.url)).status).toBe(200);
    expect((await call(app.url, { method: 'POST' })).status).toBe(200);
  });

  it('refuses more uploads than there is room for, of one caller earlier while another asks', async () => {
    const permits = new Semaphore({ limit: 5, fairShare: 0.8 });
    let refusals = 0;
    const onLimitReached = () => {
      refusals += 1;
    };
    await using app = await bareApp([
      collectContent({ permits, ...LIMITS, callerOf, onLimitReached }),
      neverCalled('the next handler'),
    ]);
    const first = upload(app, 'other');
    await eventually('one', () => permits.held === 1);
    for (let n = 0; n < 4; n += 1) upload(app, 'greedy');
    await eventually('all', () => permits.held === 5);
    first.destroy();
    await eventually('one has left', () => permits.held === 4);
    upload(app, 'greedy');
    await eventually('the refusal', () => app.errors.length === 1);
    expect(app.errors[0]).toMatchObject({ code: 'fair_share_used', status: 429, retryAfterMs: 1000 });
    upload(app, 'other');
    await eventually('the other is in', () => permits.held === 5);
    upload(app, 'third');
    await eventually('the refusal', () => app.errors.length === 2);
    expect(app.errors[1]).toMatchObject({
      code: 'gateway_busy',
      message: 'the gateway is already at its limit of 5 requests whose content it waits for',
    });
    expect(refusals).toBe(2);
  });

  it('leaves no timer behind, however it ends', async () => {
    const clock = new ManualClock();
    const permits = new Semaphore({ limit: 5 });
    await using app = await bareApp([collectContent({ permits, ...LIMITS, clock }), answers()]);
    const leaver = upload(app);
    const slow = upload(app);
    await eventually('both', () => permits.held === 2);
    expect(clock.pending).toBe(1);
    leaver.destroy();
    await eventually('one has left', () => permits.held === 1);
    clock.advance(3_000);
    await eventually('the refusal', () => app.errors.length === 1);
    expect(app.errors[0]).toMatchObject({ code: 'upload_stalled', status: 408 });
    expect(clock.pending).toBe(0);
    slow.destroy();
    await call(app.url, { method: 'POST', body: 'x' });
    await eventually('nothing is held', () => permits.held === 0);
    clock.advance(LIMITS.timeoutMs);
    expect(app.errors).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('passes on why the gateway ended the request', async () => {
    const permits = new Semaphore({ limit: 1 });
    await using app = await bareApp([
      collectContent({ permits, ...LIMITS }),
      neverCalled('the next handler'),
    ]);
    upload(app);
    await eventually('it has begun', () => permits.held === 1);
    const reason = Object.assign(new Error('draining'), { status: 503 });
    app.exchanges[0]?.abort(reason);
    await eventually('the reply', () => app.errors.length === 1);
    expect(app.errors).toEqual([reason]);
    await eventually('its room is free', () => permits.held === 0);
  });

  it('refuses content that grows too large, and drops the rest of it', async () => {
    const permits = new Semaphore({ limit: 1 });
    await using app = await bareApp([
      collectContent({ permits, ...LIMITS }),
      neverCalled('the next handler'),
    ]);
    const req = upload(app, 'a', 'x'.repeat(LIMITS.maxBytes));
    await eventually('it has begun', () => permits.held === 1);
    expect(app.errors).toEqual([]);
    req.write('y');
    await eventually('the refusal', () => app.errors.length === 1);
    expect(app.errors[0]).toMatchObject({ code: 'body_too_large', status: 413 });
    req.end('and the rest');
    await eventually('its room is free', () => permits.held === 0);
    expect(app.errors).toHaveLength(1);
  });

  it("ends a caller's oldest upload that still arrives for its next one", async () => {
    const permits = new Semaphore({ limit: 4, fairShare: 0.5, keepsRoom: true });
    let refusals = 0;
    const onLimitReached = () => {
      refusals += 1;
    };
    await using app = await bareApp([
      collectContent({ permits, ...LIMITS, callerOf, onLimitReached }),
      answers(),
    ]);
    const first = upload(app, 'a');
    await eventually('the first', () => permits.held === 1);
    upload(app, 'a');
    await eventually('the second', () => permits.held === 2);
    first.end();
    await eventually('the first is over', () => permits.held === 1);
    upload(app, 'a');
    await eventually('the third', () => permits.held === 2);
    expect(refusals).toBe(0);
    upload(app, 'a');
    await eventually('the refusal', () => app.errors.length === 1);
    expect(app.errors[0]).toMatchObject({ code: 'fair_share_used' });
    expect(app.responses.map(({ writableEnded }) => writableEnded)).toEqual([true, true, false, false]);
    expect(permits.held).toBe(2);
    expect(refusals).toBe(1);
  });
});
