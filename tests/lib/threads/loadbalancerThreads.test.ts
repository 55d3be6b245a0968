import { describe, expect, it } from '@jest/globals';
import { ReplicaPool } from '../../../lib/loadbalancer/pool.ts';
import { LoadScan } from '../../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../../lib/threads/loadbalancer/threadsReplica.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import type { TakeOrder } from '../../support/threads/balancers.ts';
import { Team, type TeamMember } from '../../support/threads/team.ts';

const THREADS = 4;
const IDS = ['a:1', 'b:1', 'c:1'];

interface Balancers extends AsyncDisposable {
  /** Of this thread, on the same counts. */
  readonly pool: ReplicaPool;
  readonly team: Team;
  order(member: number, order: TakeOrder): Promise<string[]>;
}

function startBalancers(): Balancers {
  const sizeFor = () => ThreadsReplica.sizeFor(THREADS + 1);
  const buffers = Object.fromEntries(IDS.map((id) => [id, SharedCells.allocate(sizeFor())]));
  const team = new Team('balancers.ts', THREADS, sizeFor, { replicas: buffers });
  const countsOf = (buffer: SharedArrayBuffer) => ({ ...team.share, cells: new SharedCells(buffer, 0) });
  const pool = new ReplicaPool({
    service: '/budgeting',
    replicas: Object.entries(buffers).map(([id, buffer]) =>
      ThreadsReplica.at(`http://${id}`, countsOf(buffer)),
    ),
    candidates: new LoadScan(Math.random),
  });
  return {
    pool,
    team,
    order: (member, order) => (team.members[member] as TeamMember).ask(order),
    [Symbol.asyncDispose]: () => team[Symbol.asyncDispose](),
  };
}

function inFlight({ replicas }: ReplicaPool): number[] {
  return replicas.map((replica) => replica.inFlight);
}

describe('the choice of four threads', () => {
  it('gives ten sequential requests 3, 4, 3 in some order, whichever thread has them', async () => {
    await using balancers = startBalancers();
    for (let i = 0; i < 10; i += 1) await balancers.order(i % THREADS, { times: 1 });
    const counts = balancers.pool.replicas.map(({ requestCount }) => requestCount);
    expect(counts.toSorted()).toEqual([3, 3, 4]);
    expect(inFlight(balancers.pool)).toEqual([0, 0, 0]);
  });

  it('spreads what is under way evenly, although all choose at once', async () => {
    await using balancers = startBalancers();
    await Promise.all([0, 1, 2, 3].map((i) => balancers.order(i, { times: 3_000, keep: true })));
    const [least = 0, , most = 0] = inFlight(balancers.pool).toSorted((a, b) => a - b);
    expect(inFlight(balancers.pool).reduce((sum, count) => sum + count)).toBe(THREADS * 3_000);
    // Whoever is looked at may have got one from each other thread by the time it is taken.
    expect(most - least).toBeLessThanOrEqual(THREADS);
  });

  it('counts every request that was begun and ended', async () => {
    await using balancers = startBalancers();
    await Promise.all([0, 1, 2, 3].map((i) => balancers.order(i, { times: 20_000 })));
    const total = balancers.pool.replicas.reduce((sum, { requestCount }) => sum + requestCount, 0);
    expect(total).toBe(THREADS * 20_000);
    expect(inFlight(balancers.pool)).toEqual([0, 0, 0]);
  });

  it('ends what a thread that has ended had under way', async () => {
    await using balancers = startBalancers();
    await balancers.order(0, { times: 5, keep: true });
    await balancers.order(1, { times: 1, keep: true });
    await (balancers.team.members[0] as TeamMember).worker.terminate();
    for (const replica of balancers.pool.replicas) (replica as ThreadsReplica).leave(1);
    expect(inFlight(balancers.pool).toSorted()).toEqual([0, 0, 1]);
  });
});
