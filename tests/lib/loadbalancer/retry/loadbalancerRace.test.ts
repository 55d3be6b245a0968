import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import type { Attempt } from '../../../../lib/exchange/attempt.ts';
import { exchangeOf } from '../../../../lib/exchange/exchange.ts';
import { loadBalancer } from '../../../../lib/loadbalancer/middleware.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { failover } from '../../../../lib/loadbalancer/retry/failover.ts';
import { Hedging } from '../../../../lib/loadbalancer/retry/hedging.ts';
import { RetryBudget } from '../../../../lib/loadbalancer/retry/retryBudget.ts';
import { call } from '../../../support/clients/client.ts';
import { eventually } from '../../../support/eventually.ts';
import { bareApp } from '../../../support/gateway/bareApp.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const DEADLINE_MS = 3000;

class NoResponseError extends Error {
  readonly status = 502;
}

interface Try {
  readonly attempt: Attempt;
  respond(): void;
  /** The connection is lost, or was refused before anything was sent. */
  fail(): void;
}

/** A GET to three replicas, whose tries the test ends. `admitted`: who takes requests now. */
async function startRace() {
  const clock = new ManualClock();
  const replicas = ['a', 'b', 'c'].map((name) => Replica.at(`http://${name}`));
  const pool = new ReplicaPool({ service: '/x', replicas, clock });
  const hedging = new Hedging({ pool, deadlineMs: DEADLINE_MS, clock });
  hedging.responded(10);
  const tries: Try[] = [];
  const admitted = new Set(replicas);
  const balanced = loadBalancer({ pool, admits: (replica) => admitted.has(replica), clock });
  const forward: RequestHandler = (_req, res, next) => {
    const attempt = exchangeOf(res).attempt as Attempt;
    tries.push({
      attempt,
      respond: () => {
        attempt.end({ kind: 'completed' });
        res.end(attempt.target.id);
      },
      fail: () => {
        const error = new NoResponseError('none');
        attempt.end({ kind: 'failed', failure: 'bad', error });
        next(error);
      },
    });
  };
  const attempt: RequestHandler = (req, res, next) =>
    balanced(req, res, (error?: unknown) => (error ? next(error) : forward(req, res, next)));
  const gotNoResponse = (error: unknown) => error instanceof NoResponseError;
  const app = await bareApp(
    failover({ pool, budget: new RetryBudget(), attempt, gotNoResponse, hedging, clock }),
  );
  const response = call(app.url);
  const first = await eventually('the first try', () => tries[0]);
  send(first);
  return {
    response,
    tries,
    first,
    /** Half of the deadline passes. */
    hedges: () => clock.advance(DEADLINE_MS / 2),
    admit: (...names: string[]) => {
      admitted.clear();
      for (const replica of replicas) if (names.includes(replica.id)) admitted.add(replica);
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** As `forward` does just before the first byte. */
function send({ attempt }: Try): void {
  attempt.sent = true;
}

describe('a request whose first try is lost while it waits', () => {
  it('is tried at another replica although all others refused it as a hedge', async () => {
    await using race = await startRace();
    race.admit();
    race.hedges();
    expect(race.tries).toHaveLength(1);
    race.admit('a', 'b', 'c');
    race.first.fail();
    race.tries[1]?.respond();
    expect(await race.response).toMatchObject({
      status: 200,
      body: Buffer.from(String(race.tries[1]?.attempt.target.id)),
    });
  });

  it('is tried at a third replica when nothing of the hedge could be sent', async () => {
    await using race = await startRace();
    race.hedges();
    race.tries[1]?.fail();
    race.first.fail();
    expect(new Set(race.tries.map(({ attempt }) => attempt.target.id)).size).toBe(3);
    race.tries[2]?.respond();
    expect((await race.response).status).toBe(200);
  });

  it('is tried at a third replica when nothing of the hedge could be sent in the end', async () => {
    await using race = await startRace();
    race.hedges();
    race.first.fail();
    race.tries[1]?.fail();
    race.tries[2]?.respond();
    expect((await race.response).status).toBe(200);
  });

  it('has had its second try when the hedge was sent', async () => {
    await using race = await startRace();
    race.hedges();
    send(race.tries[1] as Try);
    race.tries[1]?.fail();
    race.first.fail();
    expect(race.tries).toHaveLength(2);
    expect((await race.response).status).toBe(502);
  });
});
