import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { isPermit, type PermitsOptions } from '../../../lib/concurrency/permits.ts';
import { SharedSemaphore } from '../../../lib/threads/concurrency/sharedSemaphore.ts';
import { eventually } from '../../support/eventually.ts';
import type { CallersOrder } from '../../support/threads/callers.ts';
import { Team, type TeamMember } from '../../support/threads/team.ts';

interface Callers extends AsyncDisposable {
  readonly members: readonly TeamMember[];
  /** Of this thread, on the same cells. */
  readonly semaphore: SharedSemaphore;
  /** The most callers that were inside at a time. */
  readonly most: () => number;
  order<T>(member: number, order: CallersOrder): Promise<T>;
}

function startCallers(threads: number, options: PermitsOptions & { readonly seed?: number }): Callers {
  const inside = new Int32Array(new SharedArrayBuffer(8));
  const team = new Team('callers.ts', threads, SharedSemaphore.sizeFor(options), {
    options,
    inside: inside.buffer,
  });
  return {
    members: team.members,
    semaphore: new SharedSemaphore({ ...options, share: team.share }),
    most: () => Atomics.load(inside, 1),
    order: (member, order) => (team.members[member] as TeamMember).ask(order),
    [Symbol.asyncDispose]: () => team[Symbol.asyncDispose](),
  };
}

/** What `held` was while callers waited, turn by turn, until `over`. */
async function heldWhileWaiting(semaphore: SharedSemaphore, over: () => boolean): Promise<Set<number>> {
  const seen = new Set<number>();
  while (!over()) {
    const waitedBefore = semaphore.waiting > 0;
    const { held } = semaphore;
    if (waitedBefore && semaphore.waiting > 0) seen.add(held);
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
    await eventually('callers wait', () => callers.semaphore.waiting > 0);
    const held = await heldWhileWaiting(callers.semaphore, () => over);
    await visits;
    expect([...held]).toEqual([10]);
    expect(callers.most()).toBe(10);
    expect(callers.semaphore).toMatchObject({ held: 0, waiting: 0 });
  }, 30_000);

  it('hands out no more permits than the limit, whoever asks first', async () => {
    await using callers = startCallers(4, { limit: 10 });
    const counts = await Promise.all(
      callers.members.map((_, i) => callers.order<number>(i, { kind: 'hold', permits: 5 })),
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10);
    expect(callers.semaphore.tryAcquire()).toBe('full');
  });

  it('wakes a caller in one thread when another gives a permit back', async () => {
    await using callers = startCallers(2, { limit: 1, queue: 1 });
    await callers.order(0, { kind: 'hold', permits: 1 });
    const waits = callers.order(1, { kind: 'wait' });
    await eventually('it waits', () => callers.semaphore.waiting === 1);
    expect(await callers.order(0, { kind: 'release' })).toBe(1);
    expect(await waits).toBe('admitted');
    expect(callers.semaphore).toMatchObject({ held: 1, waiting: 0 });
  });

  it('bounds the queue of all threads together', async () => {
    await using callers = startCallers(2, { limit: 1, queue: 3 });
    await callers.order(0, { kind: 'hold', permits: 1 });
    await callers.order(0, { kind: 'queue', callers: 3 });
    expect(callers.semaphore.waiting).toBe(3);
    expect(await callers.order(1, { kind: 'wait' })).toBe('full');
  });

  it('gives the places in the queue away in the order in which they were taken', async () => {
    await using callers = startCallers(3, { limit: 1, queue: 3 });
    const permit = callers.semaphore.tryAcquire();
    const admitted: number[] = [];
    const order = [2, 0, 1];
    for (const [place, member] of order.entries()) {
      void callers.order(member, { kind: 'wait' }).then(() => admitted.push(member));
      await eventually('it waits', () => callers.semaphore.waiting === place + 1);
    }
    if (isPermit(permit)) permit.release();
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
    await eventually('all wait', () => callers.semaphore.waiting === 5);
    await crash(callers, 0);
    expect(callers.semaphore).toMatchObject({ held: 3, waiting: 5 });
    callers.semaphore.leave(1);
    expect(await waits).toBe('admitted');
    expect(callers.semaphore).toMatchObject({ held: 1, waiting: 0 });
  });

  it('counts what a caller holds in all threads', async () => {
    await using callers = startCallers(2, { limit: 10, fairShare: 0.8, seed: 1 });
    callers.semaphore.tryAcquire('another');
    expect(await callers.order(0, { kind: 'hold', permits: 5, caller: 'greedy' })).toBe(5);
    expect(await callers.order(1, { kind: 'hold', permits: 5, caller: 'greedy' })).toBe(3);
    expect(callers.semaphore.tryAcquire('greedy')).toBe('share');
    expect(isPermit(callers.semaphore.tryAcquire('another'))).toBe(true);
  });

  it('passes over callers in one thread who have their share, and comes back to them', async () => {
    await using callers = startCallers(2, { limit: 3, queue: 10, fairShare: 0.5, seed: 1 });
    callers.semaphore.tryAcquire('another');
    await callers.order(0, { kind: 'hold', permits: 1, caller: 'greedy' });
    const waits = callers.order(1, { kind: 'wait', caller: 'greedy' });
    await eventually('it waits', () => callers.semaphore.waiting === 1);
    expect(isPermit(callers.semaphore.tryAcquire('third'))).toBe(true);
    expect(callers.semaphore).toMatchObject({ held: 3, waiting: 1 });
    await callers.order(0, { kind: 'release' });
    expect(await waits).toBe('admitted');
    expect(callers.semaphore).toMatchObject({ held: 3, waiting: 0 });
  });

  it('gives a share back with the thread that ends', async () => {
    await using callers = startCallers(2, { limit: 10, fairShare: 0.8, seed: 1 });
    callers.semaphore.tryAcquire('another');
    await callers.order(0, { kind: 'hold', permits: 8, caller: 'greedy' });
    expect(callers.semaphore.tryAcquire('greedy')).toBe('share');
    await crash(callers, 0);
    callers.semaphore.leave(1);
    expect(isPermit(callers.semaphore.tryAcquire('greedy'))).toBe(true);
  });
});
