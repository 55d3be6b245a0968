import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Limiter } from '../lib/concurrency/limiter.ts';
import { eventually } from './support/eventually.ts';
import type { CallersOrder } from './support/threads/callers.ts';
import { Team, type TeamMember } from './support/threads/team.ts';

interface Callers extends AsyncDisposable {
  readonly members: readonly TeamMember[];
  /** Of this thread, on the same cells. */
  readonly limiter: Limiter;
  /** The most callers that were inside at a time. */
  readonly most: () => number;
  order<T>(member: number, order: CallersOrder): Promise<T>;
}

function startCallers(threads: number, options: { limit: number; queue?: number }): Callers {
  const inside = new Int32Array(new SharedArrayBuffer(8));
  const team = new Team('callers.ts', threads, Limiter.sizeFor, { options, inside: inside.buffer });
  return {
    members: team.members,
    limiter: new Limiter({ ...options, share: team.share }),
    most: () => Atomics.load(inside, 1),
    order: (member, order) => (team.members[member] as TeamMember).ask(order),
    [Symbol.asyncDispose]: () => team[Symbol.asyncDispose](),
  };
}

/** What `held` was while callers waited, turn by turn, until `over`. */
async function heldWhileWaiting(limiter: Limiter, over: () => boolean): Promise<Set<number>> {
  const seen = new Set<number>();
  while (!over()) {
    const waitedBefore = limiter.waiting > 0;
    const { held } = limiter;
    if (waitedBefore && limiter.waiting > 0) seen.add(held);
    await nextTurn();
  }
  return seen;
}

async function crash(callers: Callers, member: number): Promise<void> {
  const { worker } = callers.members[member] as TeamMember;
  const failed = once(worker, 'error');
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.postMessage({ kind: 'crash' } satisfies CallersOrder);
  await failed;
  await ended;
}

describe('one limit for four threads', () => {
  it('lets 10 of 400 callers in at a time, never 11, and never fewer while callers wait', async () => {
    await using callers = startCallers(4, { limit: 10, queue: 400 });
    let over = false;
    const visits = Promise.all(
      callers.members.map((_, i) => callers.order(i, { kind: 'visit', callers: 100, times: 5 })),
    ).finally(() => {
      over = true;
    });
    await eventually('callers wait', () => callers.limiter.waiting > 0);
    const held = await heldWhileWaiting(callers.limiter, () => over);
    await visits;
    expect([...held]).toEqual([10]);
    expect(callers.most()).toBe(10);
    expect(callers.limiter).toMatchObject({ held: 0, waiting: 0 });
  }, 30_000);

  it('hands out no more permits than the limit, whoever asks first', async () => {
    await using callers = startCallers(4, { limit: 10 });
    const counts = await Promise.all(
      callers.members.map((_, i) => callers.order<number>(i, { kind: 'hold', permits: 5 })),
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10);
    expect(callers.limiter.tryAcquire()).toBeUndefined();
  });

  it('wakes a caller in one thread when another gives a permit back', async () => {
    await using callers = startCallers(2, { limit: 1, queue: 1 });
    await callers.order(0, { kind: 'hold', permits: 1 });
    const waits = callers.order(1, { kind: 'wait' });
    await eventually('it waits', () => callers.limiter.waiting === 1);
    expect(await callers.order(0, { kind: 'release' })).toBe(1);
    expect(await waits).toBe('admitted');
    expect(callers.limiter).toMatchObject({ held: 1, waiting: 0 });
  });

  it('bounds the queue of all threads together', async () => {
    await using callers = startCallers(2, { limit: 1, queue: 3 });
    await callers.order(0, { kind: 'hold', permits: 1 });
    await callers.order(0, { kind: 'queue', callers: 3 });
    expect(callers.limiter.waiting).toBe(3);
    expect(await callers.order(1, { kind: 'wait' })).toBe('refused');
  });

  it('gives the places in the queue away in the order in which they were taken', async () => {
    await using callers = startCallers(3, { limit: 1, queue: 3 });
    const release = callers.limiter.tryAcquire();
    const admitted: number[] = [];
    const order = [2, 0, 1];
    for (const [place, member] of order.entries()) {
      void callers.order(member, { kind: 'wait' }).then(() => admitted.push(member));
      await eventually('it waits', () => callers.limiter.waiting === place + 1);
    }
    release?.();
    for (const member of order) {
      await eventually('the next is in', () => admitted.at(-1) === member);
      await callers.order(member, { kind: 'release' });
    }
    expect(admitted).toEqual(order);
  });

  it('loses no permit with a thread that ends by an error nobody caught', async () => {
    await using callers = startCallers(2, { limit: 3, queue: 10 });
    await callers.order(0, { kind: 'hold', permits: 3 });
    await callers.order(0, { kind: 'queue', callers: 4 });
    const waits = callers.order(1, { kind: 'wait' });
    await eventually('all wait', () => callers.limiter.waiting === 5);
    await crash(callers, 0);
    expect(callers.limiter).toMatchObject({ held: 3, waiting: 5 });
    callers.limiter.leave(1);
    expect(await waits).toBe('admitted');
    expect(callers.limiter).toMatchObject({ held: 1, waiting: 0 });
  });
});
