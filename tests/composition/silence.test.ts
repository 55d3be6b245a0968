import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { compose } from '../../gateway/compose.ts';
import type { Outcome } from '../../lib/exchange/attempt.ts';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { loadBalancer } from '../../lib/loadbalancer/middleware.ts';
import { ReplicaPool } from '../../lib/loadbalancer/pool.ts';
import { Replica } from '../../lib/loadbalancer/replica.ts';
import { Absence } from '../../lib/loadbalancer/retry/absence.ts';
import { failover } from '../../lib/loadbalancer/retry/failover.ts';
import { Hedging } from '../../lib/loadbalancer/retry/hedging.ts';
import { RetryBudget } from '../../lib/loadbalancer/retry/retryBudget.ts';
import { UpstreamUnreachableError } from '../../lib/proxy/errors.ts';
import { proxy } from '../../lib/proxy/middleware.ts';
import { Transport } from '../../lib/proxy/transport.ts';
import { timeout } from '../../lib/timeout/middleware.ts';
import { call, open } from '../support/clients/client.ts';
import { eventually } from '../support/eventually.ts';
import { bareApp } from '../support/gateway/bareApp.ts';
import { ManualClock } from '../support/manualClock.ts';
import { hangs, startRawUpstream, startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

const DEADLINE_MS = 3000;

/** How each try at a replica ended: `absent`, `bad`, or what else it was. */
interface Ended {
  readonly replica: string;
  readonly how: string;
}

const howOf = (outcome: Outcome) => (outcome.kind === 'failed' ? outcome.failure : outcome.kind);

/** Timeout, failover with hedges, load balancer and proxy in front of real replicas; callers are told apart by `X-Caller`. */
async function startStages(replicas: readonly Upstream[]) {
  const clock = new ManualClock();
  const pool = new ReplicaPool({
    service: '/x',
    replicas: replicas.map(({ url }) => Replica.at(url.origin)),
    clock,
  });
  const transport = new Transport({ connectTimeoutMs: 5000 });
  const absence = new Absence({ pool, deadlineMs: DEADLINE_MS, clock });
  const ended: Ended[] = [];
  const looks: RequestHandler = (_req, res, next) => {
    const { attempt } = exchangeOf(res);
    attempt?.watch({
      responded() {},
      ended: (outcome) => void ended.push({ replica: attempt.target.key, how: howOf(outcome) }),
    });
    next();
  };
  const attempt = compose([
    loadBalancer({
      pool,
      clock,
      judgeAbsence: (tried, res) => absence.judge(tried, String(res.req.headers['x-caller'])),
    }),
    looks,
    proxy({ transport, idleTimeoutMs: 10_000, clock }),
  ]);
  const gotNoResponse = (error: unknown) => error instanceof UpstreamUnreachableError;
  const hedging = new Hedging({ pool, deadlineMs: DEADLINE_MS, clock });
  const app = await bareApp([
    timeout({ timeoutMs: DEADLINE_MS, clock }),
    failover({ pool, budget: new RetryBudget(), attempt, gotNoResponse, hedging, clock }),
  ]);
  return {
    app,
    clock,
    pool,
    ended,
    ask: async (caller: string, method = 'GET') =>
      (await call(app.url, { method, headers: { 'X-Caller': caller } })).status,
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]();
      await transport.destroy();
    },
  };
}

const underWay = (pool: ReplicaPool) => pool.replicas.reduce((sum, { inFlight }) => sum + inFlight, 0);

describe('a replica that is silent', () => {
  it('is not absent by the slow requests of one caller who has the service alone', async () => {
    await using only = await startRawUpstream(hangs);
    await using stages = await startStages([only]);
    for (let round = 0; round < 3; round += 1) {
      const all = [stages.ask('ann'), stages.ask('ann', 'POST'), stages.ask('ann')];
      await eventually('they wait', () => underWay(stages.pool) === all.length);
      stages.clock.advance(DEADLINE_MS);
      expect(await Promise.all(all)).toEqual([504, 504, 504]);
    }
    expect(new Set(stages.ended.map(({ how }) => how))).toEqual(new Set(['bad']));
  });

  it('is not absent by one caller who has several replicas alone', async () => {
    await using a = await startRawUpstream(hangs);
    await using b = await startRawUpstream(hangs);
    await using stages = await startStages([a, b]);
    for (let round = 0; round < 3; round += 1) {
      const all = Array.from({ length: 6 }, () => stages.ask('ann'));
      await eventually('they wait', () => underWay(stages.pool) === all.length);
      stages.clock.advance(DEADLINE_MS);
      await Promise.all(all);
    }
    expect(new Set(stages.ended.map(({ how }) => how))).toEqual(new Set(['bad']));
  });

  it('is not absent while it responds to others, however many slow requests wait there', async () => {
    await using only = await startUpstream((req, res) => {
      if (req.headers['x-caller'] !== 'ann') res.end('ok');
    });
    await using stages = await startStages([only]);
    const slow = [stages.ask('ann'), stages.ask('ann'), stages.ask('ann')];
    await eventually('they wait', () => underWay(stages.pool) === slow.length);
    for (let n = 0; n < 3; n += 1) {
      stages.clock.advance(DEADLINE_MS / 4);
      expect(await stages.ask('bob')).toBe(200);
    }
    stages.clock.advance(DEADLINE_MS / 4);
    await Promise.all(slow);
    expect(stages.ended.filter(({ how }) => how !== 'completed').map(({ how }) => how)).toEqual([
      'bad',
      'bad',
      'bad',
    ]);
  });

  it('is absent when a second caller waits for a whole deadline, too', async () => {
    await using only = await startRawUpstream(hangs);
    await using stages = await startStages([only]);
    const all = [stages.ask('ann'), stages.ask('bob', 'POST')];
    await eventually('they wait', () => underWay(stages.pool) === 2);
    stages.clock.advance(DEADLINE_MS);
    await Promise.all(all);
    expect(stages.ended.map(({ how }) => how)).toContain('absent');
  });

  it('is absent when another replica responds meanwhile, to requests that are never hedged, too', async () => {
    await using frozen = await startRawUpstream(hangs);
    await using other = await startUpstream();
    await using stages = await startStages([frozen, other]);
    const waits = () => frozen.requests.length > 0;
    const statuses: Promise<number>[] = [];
    while (!waits()) {
      statuses.push(stages.ask('ann', 'POST'));
      await eventually(
        'it is under way',
        () => frozen.requests.length + other.requests.length === statuses.length,
      );
    }
    stages.clock.advance(1);
    expect(await stages.ask('ann', 'POST')).toBe(200);
    stages.clock.advance(DEADLINE_MS);
    expect(await Promise.all(statuses)).toContain(504);
    expect(stages.ended.filter(({ how }) => how !== 'completed')).toEqual([
      { replica: frozen.url.host, how: 'absent' },
    ]);
  });

  it('says nothing to anybody by the requests whose clients leave', async () => {
    await using only = await startRawUpstream(hangs);
    await using stages = await startStages([only]);
    const leaving = open(stages.app.url, { headers: { 'X-Caller': 'ann' } }).end();
    leaving.on('error', () => {});
    await eventually('it waits', () => underWay(stages.pool) === 1);
    stages.clock.advance(DEADLINE_MS - 1);
    leaving.destroy();
    await eventually('it is let go', () => underWay(stages.pool) === 0);
    const bob = stages.ask('bob');
    await eventually('he waits', () => underWay(stages.pool) === 1);
    stages.clock.advance(DEADLINE_MS);
    expect(await bob).toBe(504);
    expect(stages.ended.map(({ how }) => how)).toEqual(['abandoned', 'bad']);
  });
});
