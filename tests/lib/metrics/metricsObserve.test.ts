import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { type Completed, observe } from '../../../lib/metrics/middleware.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';

function recorder() {
  const completed: Completed[] = [];
  return { completed, onCompleted: (one: Completed) => void completed.push(one) };
}

describe('observe', () => {
  it('reports a request once, when its response is over', async () => {
    const clock = new ManualClock();
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([
      observe({ onCompleted, clock }),
      (_req, res) => {
        clock.advance(1_500);
        expect(completed).toEqual([]);
        res.status(201).end('made');
      },
    ]);
    await call(app.url, { method: 'PUT', path: '/a/b?c=d' });
    await eventually('the report', () => completed.length > 0);
    await turn();
    expect(completed).toEqual([
      { method: 'PUT', target: '/a/b?c=d', status: 201, seconds: 1.5, exchange: app.exchanges[0] },
    ]);
  });

  it('measures by a clock that does not jump', async () => {
    const clock = new ManualClock();
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([
      observe({ onCompleted, clock }),
      (_req, res) => {
        clock.now = () => 0;
        clock.advance(250);
        res.end();
      },
    ]);
    await call(app.url);
    await eventually('the report', () => completed.length > 0);
    expect(completed[0]?.seconds).toBe(0.25);
  });

  it('reports status 0 for a client that left before a response began', async () => {
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([observe({ onCompleted }), () => {}]);
    const req = open(app.url).end();
    await eventually('the request', () => app.responses.length === 1);
    req.destroy();
    await eventually('the report', () => completed.length > 0);
    expect(completed.map(({ status }) => status)).toEqual([0]);
  });

  it('reports the status of a response that its client did not wait for', async () => {
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([observe({ onCompleted }), (_req, res) => void res.write('a beginning')]);
    const req = open(app.url).end();
    req.once('response', () => req.destroy());
    await eventually('the report', () => completed.length > 0);
    expect(completed.map(({ status }) => status)).toEqual([200]);
  });

  it('reports 101 for a connection that left HTTP', async () => {
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([
      observe({ onCompleted }),
      (_req, res) => {
        exchangeOf(res).upgraded = true;
        res.statusCode = 101;
        res.destroy();
      },
    ]);
    await call(app.url).catch(() => {});
    await eventually('the report', () => completed.length > 0);
    expect(completed[0]?.status).toBe(101);
  });

  it('reports what the client asked for, wherever it is mounted', async () => {
    const { completed, onCompleted } = recorder();
    await using app = await bareApp([
      (req, res, next) => {
        req.url = '/rewritten';
        observe({ onCompleted })(req, res, next);
      },
      answers(),
    ]);
    await call(app.url, { path: '/original' });
    await eventually('the report', () => completed.length > 0);
    expect(completed[0]?.target).toBe('/original');
  });

  it('names the request in the response', async () => {
    await using app = await bareApp([observe(recorder()), answers()]);
    const { headers } = await call(app.url);
    expect(headers['x-request-id']).toBe(app.exchanges[0]?.requestId);
  });

  const names: { name: string; given?: string | string[]; keepsRequestId?: () => boolean; kept: boolean }[] =
    [
      { name: 'ignored by default', given: 'mine', kept: false },
      { name: 'kept when its user says so', given: 'mine', keepsRequestId: () => true, kept: true },
      { name: 'ignored when its user says no', given: 'mine', keepsRequestId: () => false, kept: false },
      { name: 'made up when there is none', keepsRequestId: () => true, kept: false },
    ];

  it.each(names)('an incoming X-Request-Id is $name', async ({ given, keepsRequestId, kept }) => {
    await using app = await bareApp([observe({ ...recorder(), keepsRequestId }), answers()]);
    const { headers } = await call(app.url, { headers: given ? { 'X-Request-Id': given } : {} });
    expect(headers['x-request-id'] === given).toBe(kept);
    expect(headers['x-request-id']).toBeTruthy();
  });

  it('is not broken by a listener that throws', async () => {
    using broken = new BrokenListener();
    await using app = await bareApp([observe({ onCompleted: broken.listen }), answers()]);
    expect((await call(app.url)).status).toBe(200);
    await eventually('the end', () => app.responses[0]?.closed);
  });
});
