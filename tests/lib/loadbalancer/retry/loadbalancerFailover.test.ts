import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { exchangeOf } from '../../../../lib/exchange/exchange.ts';
import { loadBalancer } from '../../../../lib/loadbalancer/middleware.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { failover } from '../../../../lib/loadbalancer/retry/failover.ts';
import { Hedging } from '../../../../lib/loadbalancer/retry/hedging.ts';
import { RetryBudget } from '../../../../lib/loadbalancer/retry/retryBudget.ts';
import { BrokenListener } from '../../../support/brokenListener.ts';
import { call } from '../../../support/clients/client.ts';
import { bareApp } from '../../../support/gateway/bareApp.ts';

class RefusedError extends Error {
  readonly status = 500;
}

class NoResponseError extends Error {
  readonly status = 502;
}

interface Trial {
  readonly method?: string;
  readonly body?: string;
  readonly replicas?: number;
  /** Whether requests that wait may be hedged; none of these waits. */
  readonly hedges?: boolean;
  readonly budget?: RetryBudget;
  readonly onFailover?: () => void;
  /** What the tries come to; the last one is repeated. */
  readonly tries: readonly ('answers' | 'unreachable' | 'silent' | 'broken' | 'aborted' | 'refused')[];
}

/** The status a client gets and the replicas that were tried. */
async function outcome({
  method = 'GET',
  body,
  replicas = 3,
  hedges = false,
  budget = new RetryBudget(),
  tries,
  onFailover,
}: Trial) {
  const pool = new ReplicaPool({
    service: '/budgeting',
    replicas: Array.from({ length: replicas }, (_, i) => Replica.at(`http://r${i}`)),
  });
  const tried: string[] = [];
  const forward: RequestHandler = (_req, res, next) => {
    const exchange = exchangeOf(res);
    const { attempt } = exchange;
    if (!attempt) return next(new Error('nobody was chosen'));
    const result = tries[tried.length] ?? tries.at(-1) ?? 'answers';
    tried.push(attempt.target.id);
    if (result === 'answers') return void res.end('ok');
    if (result === 'refused') {
      attempt.end({ kind: 'abandoned' });
      return next(new RefusedError('its breaker has opened just now'));
    }
    attempt.sent = result !== 'unreachable';
    if (result === 'aborted') exchange.abort(new Error('too late'), 'settled');
    const error =
      result === 'broken' ? Object.assign(new Error('broken'), { status: 502 }) : new NoResponseError('none');
    attempt.end({ kind: 'failed', failure: 'bad', error });
    next(error);
  };
  const attempt: RequestHandler = (req, res, next) =>
    loadBalancer({ pool })(req, res, (error?: unknown) => (error ? next(error) : forward(req, res, next)));
  const gotNoResponse = (error: unknown) => error instanceof NoResponseError;
  const isRefused = (error: unknown) => error instanceof RefusedError;
  const hedging = hedges ? new Hedging({ pool, deadlineMs: 3000 }) : undefined;
  await using app = await bareApp([
    failover({ pool, budget, attempt, gotNoResponse, isRefused, onFailover, hedging }),
  ]);
  const headers = body === undefined ? undefined : { 'Content-Length': String(body.length) };
  const { status } = await call(app.url, { method, body, headers });
  return { status, tried, inFlight: pool.replicas.map((replica) => replica.inFlight) };
}

describe('failover', () => {
  const cases: (Trial & { name: string; status: number; asked: number })[] = [
    { name: 'leaves an answer alone', tries: ['answers'], status: 200, asked: 1 },
    { name: 'tries another when a GET got no answer', tries: ['silent', 'answers'], status: 200, asked: 2 },
    { name: 'does so for HEAD', method: 'HEAD', tries: ['silent', 'answers'], status: 200, asked: 2 },
    { name: 'tries twice and no more', tries: ['silent'], status: 502, asked: 2 },
    { name: 'has nobody else to try', replicas: 1, tries: ['silent'], status: 502, asked: 1 },
    { name: 'sends no POST twice', method: 'POST', tries: ['silent'], status: 502, asked: 1 },
    { name: 'sends no DELETE twice', method: 'DELETE', tries: ['silent'], status: 502, asked: 1 },
    {
      name: 'sends a POST that was never sent',
      method: 'POST',
      tries: ['unreachable', 'answers'],
      status: 200,
      asked: 2,
    },
    { name: 'sends no content twice', body: 'content', tries: ['silent'], status: 502, asked: 1 },
    { name: 'accepts a broken answer as the answer', tries: ['broken'], status: 502, asked: 1 },
    {
      name: 'chooses anew when the chosen one refuses, whatever the budget',
      method: 'POST',
      budget: new RetryBudget({ perRequest: 0, reserve: 0 }),
      tries: ['refused', 'refused', 'answers'],
      status: 200,
      asked: 3,
    },
    { name: 'may try twice beside', tries: ['refused', 'silent', 'answers'], status: 200, asked: 3 },
    { name: 'chooses anew for a second try', tries: ['silent', 'refused', 'answers'], status: 200, asked: 3 },
    { name: 'asks nobody twice who refuses', tries: ['refused'], status: 503, asked: 3 },
    { name: 'stops when the request is over', tries: ['aborted'], status: 502, asked: 1 },
  ];

  const both = [false, true].flatMap((hedges) => cases.map((trial) => ({ ...trial, hedges })));

  it.each(both)('$name (hedges: $hedges)', async ({ status, asked, ...trial }) => {
    const { tried, inFlight, ...rest } = await outcome(trial);
    expect(rest.status).toBe(status);
    expect(tried).toHaveLength(asked);
    expect(new Set(tried).size).toBe(asked);
    expect(inFlight.every((count) => count === 0)).toBe(true);
  });

  it('stays within its budget', async () => {
    const budget = new RetryBudget({ perRequest: 0.5, reserve: 0 });
    const asked: number[] = [];
    for (let i = 0; i < 6; i += 1) asked.push((await outcome({ budget, tries: ['silent'] })).tried.length);
    expect(asked).toEqual([1, 2, 1, 2, 1, 2]);
  });

  it('pays nothing where there is no other replica', async () => {
    const budget = new RetryBudget({ perRequest: 0, reserve: 1 });
    for (let i = 0; i < 3; i += 1) await outcome({ budget, replicas: 1, tries: ['silent'] });
    expect((await outcome({ budget, replicas: 2, tries: ['silent', 'answers'] })).status).toBe(200);
  });

  it('is not broken by a listener that throws', async () => {
    using broken = new BrokenListener();
    const { status } = await outcome({ tries: ['silent', 'answers'], onFailover: broken.listen });
    expect(status).toBe(200);
  });
});

describe('RetryBudget', () => {
  it('begins with its reserve, earns a part of each request and saves no more than its most', () => {
    const budget = new RetryBudget({ perRequest: 0.1, reserve: 1, max: 2 });
    expect([budget.spend(), budget.spend()]).toEqual([true, false]);
    for (let i = 0; i < 9; i += 1) budget.earn();
    expect(budget.spend()).toBe(false);
    for (let i = 0; i < 1000; i += 1) budget.earn();
    expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
  });
});
